"""A wrapped function for every trigger, as ``def`` and as ``async def``."""

from __future__ import annotations

from typing import Any

import azure.functions as func

from serverless_flags import FlagSession

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
flags = FlagSession()

DATABASE = {"connection": "C", "database_name": "d", "container_name": "c"}
DATABASE_V3 = {"database_name": "d", "collection_name": "c"}
TOPIC = {"connection": "C", "topic_name": "t", "subscription_name": "s"}
TABLE = {"table_name": "t", "connection_string_setting": "C"}

TRIGGERS: dict[str, tuple[dict[str, Any], Any]] = {
    "route": ({}, func.HttpRequest),
    "schedule": ({"schedule": "0 * * * * *"}, func.TimerRequest),
    "timer_trigger": ({"schedule": "0 * * * * *"}, func.TimerRequest),
    "warm_up_trigger": ({}, None),
    "service_bus_queue_trigger": (
        {"connection": "C", "queue_name": "q"},
        func.ServiceBusMessage,
    ),
    "service_bus_topic_trigger": (TOPIC, func.ServiceBusMessage),
    "queue_trigger": ({"connection": "C", "queue_name": "q"}, func.QueueMessage),
    "event_hub_message_trigger": (
        {"connection": "C", "event_hub_name": "h"},
        func.EventHubEvent,
    ),
    "cosmos_db_trigger": (DATABASE, func.DocumentList),
    "cosmos_db_trigger_v3": (
        {**DATABASE_V3, "connection_string_setting": "C"},
        func.DocumentList,
    ),
    "blob_trigger": ({"connection": "C", "path": "p/{name}"}, func.InputStream),
    "event_grid_trigger": ({}, func.EventGridEvent),
    "kafka_trigger": ({"topic": "t", "broker_list": "b"}, func.KafkaEvent),
    "sql_trigger": (TABLE, str),
    "mysql_trigger": (TABLE, str),
    "generic_trigger": ({"type": "ownTrigger"}, str),
    "connector_trigger": ({}, str),
    "dapr_binding_trigger": ({"binding_name": "b"}, str),
    "dapr_service_invocation_trigger": ({"method_name": "m"}, str),
    "dapr_topic_trigger": ({"pub_sub_name": "p", "topic": "t"}, str),
    "assistant_skill_trigger": ({"function_description": "d"}, str),
    "mcp_tool_trigger": ({"tool_name": "t"}, str),
    "mcp_prompt_trigger": ({"prompt_name": "p"}, str),
    "mcp_resource_trigger": ({"uri": "u://u", "resource_name": "r"}, str),
    "mcp_tool": ({}, str),
}
"""Decorators of the function app, with their arguments and the trigger's type."""


def make(name: str, kind: Any, *, is_async: bool) -> Any:
    """Return a function, named after its trigger, that evaluates the flag."""

    def function(data):
        flags.is_enabled("simpleFlag")

    async def coroutine(data):
        flags.is_enabled("simpleFlag")

    made = coroutine if is_async else function
    made.__name__ = f"{name}_async" if is_async else name
    made.__doc__ = f"Receive the data of {name}."
    if kind is not None:
        made.__annotations__ = {"data": kind}
    return made


for name, (arguments, kind) in TRIGGERS.items():
    if not hasattr(app, name):  # an older azure-functions
        continue
    for is_async in (False, True):
        given = dict(arguments)
        if name == "route":
            given["trigger_arg_name"] = "data"
        elif name != "mcp_tool":
            given["arg_name"] = "data"
        decorate = getattr(app, name)(**given)
        decorate(flags.wrap(make(name, kind, is_async=is_async)))
