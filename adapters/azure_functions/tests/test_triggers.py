"""Wrapped functions of every trigger are indexed and called."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from serverless_flags_azure_functions._emulator.emulator import AzureFunctionsEmulator

APPS = Path(__file__).parent / "apps"

DURABLE = {"activity_trigger", "entity_trigger", "orchestration_trigger"}
"""Triggers that need azure-functions-durable."""

NO_TRIGGERS = {"function_name", "http_type", "mcp_tool_property"}

EVENT = {
    "id": "1",
    "topic": "t",
    "subject": "s",
    "eventType": "t",
    "dataVersion": "1",
    "data": {},
}

DATA: dict[str, object] = {
    "schedule": {"IsPastDue": False},
    "timer_trigger": {"IsPastDue": False},
    "warm_up_trigger": {},
    "cosmos_db_trigger": [{"id": "1"}],
    "cosmos_db_trigger_v3": [{"id": "1"}],
    "blob_trigger": b"a blob",
    "event_grid_trigger": EVENT,
    "kafka_trigger": {"Offset": 1, "Value": "v"},
    "mcp_prompt_trigger": "{}",
    "mcp_tool": '{"arguments": {"data": "d"}}',
}
"""The data of each trigger; the default is a text."""


@pytest.fixture(name="names", scope="module")
def _names() -> list[str]:
    """Return the trigger decorators of the installed azure-functions."""
    from azure.functions.decorators.function_app import TriggerApi

    members = inspect.getmembers(TriggerApi, inspect.isfunction)
    public = {name for name, _ in members if not name.startswith("_")}
    return sorted(public - DURABLE - NO_TRIGGERS)


def test_every_trigger_calls_the_wrapped_function(flag_server, names):
    """Each trigger calls a sync and an async function, whose evaluations count."""
    target = f"{APPS}/triggers.py:route"
    wrong = {}
    with AzureFunctionsEmulator(target, environ=flag_server.environ) as instance:
        calls = [call for name in names for call in (name, f"{name}_async")]
        for call in calls:
            if call.startswith("route"):
                answer = instance.request(f"/api/{call}")
                expected = "TypeError"  # nothing is returned: it has been called
            else:
                data = DATA.get(call.removesuffix("_async"), "text")
                answer = instance.invoke(call, data)
                expected = '{"result"'
            if not answer.body.startswith(expected):
                wrong[call] = answer.body
        end = instance.terminate()
    assert wrong == {}
    assert len(calls) == flag_server.counts("simpleFlag").yes
    assert end.code == -15
