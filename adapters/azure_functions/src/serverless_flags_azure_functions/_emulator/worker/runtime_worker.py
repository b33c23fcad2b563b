"""
The worker of Python 3.13 and later: azure-functions-runtime, called without gRPC.

Its caller supplies the classes of its protobuf messages, so plain objects suffice. The
calls are those of proxy_worker/dispatcher.py (Azure/azure-functions-python-worker).
"""

from __future__ import annotations

import importlib
import json
import uuid
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from serverless_flags_azure_functions._emulator.worker.data import (
    Data,
    HttpCall,
    HttpReply,
    InvocationResult,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


_NO_APP = Path("no-app-yet")
"""The app directory of a placeholder, which does not exist."""


class Message(SimpleNamespace):
    """A protobuf message of any type; a field that is not set is None."""

    def __getattr__(self, name: str) -> None:
        return None


class StatusResult(Message):
    """The status of a response."""

    Failure, Success, Cancelled = range(3)


class BindingInfo(Message):
    """A binding, with the enumerations of its direction and its data type."""

    out, inout = 1, 2
    undefined, string, binary, stream = range(4)


setattr(BindingInfo, "in", 0)  # a keyword, which a class body cannot assign


class RpcHttpCookie(Message):
    """A cookie, with the enumeration of its ``SameSite``."""

    SameSite = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


class Protos:
    """The module of the protobuf classes; other names are plain messages."""

    StatusResult = StatusResult
    BindingInfo = BindingInfo
    RpcHttpCookie = RpcHttpCookie

    def __getattr__(self, name: str) -> type[Message]:
        return Message


class TypedData(SimpleNamespace):
    """An incoming value, in the field that ``kind`` names."""

    def WhichOneof(self, group: str) -> str:  # noqa: N802, ARG002  reason: protobuf's interface
        """Return the name of the field that is set."""
        return str(self.kind)


class ParameterBinding(SimpleNamespace):
    """An incoming value and the name of its parameter."""

    def WhichOneof(self, group: str) -> str:  # noqa: N802, ARG002  reason: protobuf's interface
        """Return ``data``: the value is in the message, not in shared memory."""
        return "data"


class RuntimeWorker:
    """azure-functions-runtime in this process, on the running loop."""

    def __init__(self) -> None:
        self.runtime = f"azure-functions-runtime {version('azure-functions-runtime')}"
        self._library: Any = importlib.import_module("azure_functions_runtime")
        self._identifiers: dict[str, str] = {}

    async def index(
        self, script: Path, environ: Mapping[str, str] | None
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Import the application by the messages that the host sends first."""
        if environ is None:
            await self._begin("worker_init_request", script.parent, capabilities={})
        else:
            await self._begin("worker_init_request", _NO_APP, capabilities={})
            await self._begin(
                "function_environment_reload_request",
                script.parent,
                environment_variables=environ,
            )
        self._library.start_threadpool_executor()
        response = await self._send("functions_metadata_request")
        functions = response.function_metadata_results or []
        for function in functions:
            self._identifiers[function.name] = function.function_id
            await self._send(
                "function_load_request",
                function_id=function.function_id,
                metadata=function,
            )
        return {
            function.name: [json.loads(raw) for raw in function.raw_bindings]
            for function in functions
        }

    async def _begin(self, name: str, directory: Path, **fields: object) -> None:
        """Send a message that makes the library look for an application."""
        response = await self._send(
            name, function_app_directory=str(directory), **fields
        )
        if response.result.status != StatusResult.Success:
            failure = response.result.exception
            message = f"{failure.message}\n{failure.stack_trace}"
            raise RuntimeError(message)

    async def invoke(
        self, function: str, inputs: Mapping[str, Data], metadata: Mapping[str, Data]
    ) -> InvocationResult:
        """Send the invocation and read its response."""
        response = await self._send(
            "invocation_request",
            invocation_id=str(uuid.uuid4()),
            function_id=self._identifiers[function],
            input_data=[
                ParameterBinding(name=name, data=_typed(data))
                for name, data in inputs.items()
            ],
            trigger_metadata={name: _typed(data) for name, data in metadata.items()},
            trace_context=SimpleNamespace(
                trace_parent="", trace_state="", attributes={}
            ),
            retry_context=SimpleNamespace(
                retry_count=0, max_retry_count=0, exception=None
            ),
        )
        if response.result.status != StatusResult.Success:
            failure = response.result.exception
            return InvocationResult(error=failure.message, trace=failure.stack_trace)
        return InvocationResult(
            result=_untyped(response.return_value),
            outputs={
                output.name: data
                for output in response.output_data
                if (data := _untyped(output.data)) is not None
            },
        )

    async def _send(self, name: str, **fields: object) -> Any:
        """Call the library's coroutine ``name`` with the message of that name."""
        request = SimpleNamespace(**{name: SimpleNamespace(**fields)})
        properties = {"protos": Protos(), "host": "127.0.0.1"}
        return await getattr(self._library, name)(
            SimpleNamespace(name=name, request=request, properties=properties)
        )


def _typed(data: Data) -> TypedData:
    """Return ``data`` in the runtime's form."""
    value = data.value
    if isinstance(value, HttpCall):
        value = SimpleNamespace(
            method=value.method,
            url=value.url,
            headers=value.headers,
            params=value.route_params,
            query=value.query,
            body=TypedData(kind="bytes", bytes=value.body),
        )
    return TypedData(kind=data.kind, **{data.kind: value})


def _untyped(message: Any) -> Data | None:
    """Return the value of the message's only field, or None if none is set."""
    if message is None or not vars(message):
        return None
    [(kind, value)] = vars(message).items()
    if kind != "http":
        return Data(kind, value)
    cookies = [
        ("Set-Cookie", f"{cookie.name}={cookie.value}")
        for cookie in value.cookies or []
    ]
    body = _untyped(value.body)
    return Data(
        "http",
        HttpReply(
            status=int(value.status_code),
            headers=[*value.headers.items(), *cookies],
            body=body.value if body is not None else b"",
        ),
    )
