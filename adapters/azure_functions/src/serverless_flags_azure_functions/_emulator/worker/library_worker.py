"""
The worker before Python 3.13: call a function, with azure-functions alone.

This follows azure_functions_worker 4.34.0 (dispatcher.py,
``_handle__invocation_request``); see also ``indexing``.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from serverless_flags_azure_functions._emulator.worker.data import (
    Data,
    HttpCall,
    HttpReply,
    InvocationResult,
    typed,
)
from serverless_flags_azure_functions._emulator.worker.indexing import (
    Indexed,
    find_converter,
    index_application,
    may_return,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Context:
    """The worker's class of the argument ``context``."""

    invocation_id: str
    function_name: str
    function_directory: str
    thread_local_storage: threading.local
    trace_context: SimpleNamespace
    retry_context: SimpleNamespace


class Out:
    """The worker's class of an argument for an output binding."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, value: Any) -> None:
        """Keep ``value`` until the function has returned."""
        self._value = value

    def get(self) -> Any:
        """Return the value, or None."""
        return self._value


class LibraryWorker:
    """The worker of the emulator, on the running loop and a thread pool."""

    def __init__(self) -> None:
        self.runtime = f"azure-functions {version('azure-functions')} (no worker)"
        self._meta: Any = importlib.import_module("azure.functions.meta")
        self._functions: dict[str, Indexed] = {}
        self._thread_local = threading.local()
        self._pool = ThreadPoolExecutor()

    async def index(
        self, script: Path, environ: Mapping[str, str] | None
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Import the application on the loop's thread."""
        if environ is not None:
            os.environ.clear()
            os.environ.update(environ)
        self._functions = {
            function.name: function for function in index_application(script)
        }
        count = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
        self._pool = ThreadPoolExecutor(int(count) if count else None)
        return {
            name: [json.loads(raw) for raw in function.raw_bindings]
            for name, function in self._functions.items()
        }

    async def invoke(
        self, function: str, inputs: Mapping[str, Data], metadata: Mapping[str, Data]
    ) -> InvocationResult:
        """Call a function; its exception becomes part of the result."""
        indexed = self._functions[function]
        outputs = {name: Out() for name in indexed.outputs}
        try:
            arguments = self._arguments(indexed, inputs, metadata)
            result = await self._call(indexed, {**arguments, **outputs})
            return self._encode_result(indexed, result, outputs)
        except Exception as error:  # noqa: BLE001  reason: the worker reports any exception to the host
            message = f"{type(error).__name__}: {error}"
            return InvocationResult(error=message, trace=traceback.format_exc())

    def _arguments(
        self,
        indexed: Indexed,
        inputs: Mapping[str, Data],
        metadata: Mapping[str, Data],
    ) -> dict[str, Any]:
        datums = {name: self._datum(data) for name, data in metadata.items()}
        arguments = {
            name: self._decode(indexed, name, data, datums)
            for name, data in inputs.items()
        }
        if indexed.wants_context:
            arguments["context"] = self._context(indexed)
        return arguments

    async def _call(self, indexed: Indexed, arguments: Mapping[str, Any]) -> Any:
        if indexed.is_async:
            return await indexed.func(**arguments)
        call = partial(indexed.func, **arguments)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _encode_result(
        self, indexed: Indexed, result: Any, outputs: Mapping[str, Out]
    ) -> InvocationResult:
        if result is not None and indexed.result is None:
            message = f"function {indexed.name!r} returned a value without a binding"
            raise RuntimeError(message)
        returned = self._encode(indexed.result, result) if indexed.result else None
        values = {
            name: self._encode(indexed.outputs[name], value)
            for name, out in outputs.items()
            if (value := out.get()) is not None
        }
        return InvocationResult(result=returned, outputs=values)

    def _context(self, indexed: Indexed) -> Context:
        return Context(
            invocation_id=str(uuid.uuid4()),
            function_name=indexed.name,
            function_directory=indexed.directory,
            thread_local_storage=self._thread_local,
            trace_context=SimpleNamespace(
                trace_parent="", trace_state="", attributes={}
            ),
            retry_context=SimpleNamespace(
                retry_count=0, max_retry_count=0, exception=None
            ),
        )

    def _decode(
        self, indexed: Indexed, name: str, data: Data, metadata: Mapping[str, Any]
    ) -> Any:
        """Convert ``data`` for the binding and the annotation of ``name``."""
        converter = find_converter(indexed.inputs[name])
        unconverted = indexed.annotations.get(name) in (str, bytes)
        if converter is None or (unconverted and not may_return(converter)):
            return data.value
        return converter.decode(self._datum(data), trigger_metadata=metadata)

    def _encode(self, binding_type: str, value: Any) -> Data:
        """Convert a returned value, or that of an output parameter, for its binding."""
        converter = find_converter(binding_type)
        if converter is None:
            return typed(value)
        try:
            datum = converter.encode(value, expected_type=None)
        except NotImplementedError:
            message = f"{binding_type!r} cannot carry a {type(value).__name__}"
            raise TypeError(message) from None
        if datum.type == "http":
            return Data("http", _reply(datum.value))
        return Data(datum.type, datum.value)

    def _datum(self, data: Data) -> Any:
        """Return ``data`` as a ``Datum``, and the parts of a request likewise."""
        if not isinstance(data.value, HttpCall):
            return self._meta.Datum(data.value, data.kind)
        call = data.value
        fields = {
            "method": self._text(call.method),
            "url": self._text(call.url),
            "headers": {k: self._text(v) for k, v in call.headers.items()},
            "params": {k: self._text(v) for k, v in call.route_params.items()},
            "query": {k: self._text(v) for k, v in call.query.items()},
            "body": self._meta.Datum(call.body, "bytes"),
        }
        return self._meta.Datum(fields, "http")

    def _text(self, value: str) -> Any:
        return self._meta.Datum(value, "string")


def _reply(fields: Mapping[str, Any]) -> HttpReply:
    """Return the response that azure-functions has encoded in ``fields``."""
    cookies = [
        ("Set-Cookie", morsel.OutputString())
        for cookie in fields["cookies"] or []
        for morsel in cookie.values()
    ]
    headers = [(name, datum.value) for name, datum in fields["headers"].items()]
    return HttpReply(
        int(fields["status_code"].value), [*headers, *cookies], fields["body"].value
    )
