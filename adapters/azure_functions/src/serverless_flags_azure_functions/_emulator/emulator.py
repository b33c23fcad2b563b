"""Azure Functions on this machine: the real worker library behind a small host."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing import Answer, Emulator
from serverless_flags.testing.emulator import START_TIMEOUT
from serverless_flags_azure_functions._emulator.worker.data import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"

REQUEST_TIMEOUT = 60.0
"""Seconds until a request without an answer is given up."""

_NOT_INDEXED = "the function app could not be indexed"

_PLACEHOLDER = {"FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_PLACEHOLDER_MODE": "1"}
"""The environment of a worker that waits for an app."""

_METADATA: Mapping[str, Mapping[str, object]] = {
    "queueTrigger": {"Id": "1", "DequeueCount": 1, "PopReceipt": "1"},
    "serviceBusTrigger": {"MessageId": "1", "UserProperties": {}},
    "eventHubTrigger": {"SystemProperties": {}},
}
"""What azure-functions must find beside a trigger's data to convert it."""


class AzureFunctionsEmulator(Emulator):
    """
    An instance of a function app.

    On Python 3.13 and later it runs azure-functions-runtime, the worker's own library;
    below, azure-functions 1.x with the worker's part written down in ``_instance``.
    ``request("/")`` calls the target; other paths go by the routes of the app.

    Args:
        placeholder: ``true`` starts the worker before there is an app to run, as
            Consumption plans do: its environment comes later, in a message.
        main_thread: ``false`` imports the app, and runs its loop, on another thread, as
            the worker of Python 3.15 does.
    """

    shutdown_grace = 5.0
    """App Service's default between SIGTERM and SIGKILL
    (``WEBSITES_CONTAINER_STOP_TIME_LIMIT``)."""

    _instance: Mapping[str, Any] | None = None

    def __init__(
        self,
        target: str,
        *,
        environ: Mapping[str, str] | None = None,
        python: str = sys.executable,
        placeholder: str = "false",
        main_thread: str = "true",
    ) -> None:
        super().__init__(target, environ=environ, python=python)
        self.is_placeholder = _is_true(placeholder)
        self.on_main_thread = _is_true(main_thread)

    @property
    def runtime(self) -> str:
        """Return, for example, ``azure-functions-runtime 1.3.0, Python 3.13.0``."""
        return str(self._described["runtime"])

    @property
    def _described(self) -> Mapping[str, Any]:
        """What the instance said of itself. Raises EmulatorError before ``start``."""
        if self._instance is None:
            message = "the instance is not running: call start() first"
            raise EmulatorError(message)
        return self._instance

    def start(self) -> None:
        """
        Start the instance and return when it has indexed its functions.

        As on Azure, the worker calls its host. Nothing is requested: the first request
        is the instance's first invocation.
        """
        with socket.create_server((HOST, 0)) as host:
            self._spawn_worker(host.getsockname()[1])
            call = self._wait_for_call(host)
        with call:
            self._instance = self._talk(call)
        functions = self._described["functions"]
        if self.function not in functions:
            message = f"{self.module_path.name} has {sorted(functions)}, "
            raise EmulatorError(message + f"no function {self.function!r}")

    def _spawn_worker(self, port: int) -> None:
        module = "serverless_flags_azure_functions._emulator.worker"
        argv = [self.python, "-m", module, str(self.module_path), str(port)]
        argv.append("main" if self.on_main_thread else "bridge")
        environ = self._instance_environ()
        if self.is_placeholder:
            environ = {**self.machine_environ(), **_PLACEHOLDER}
        self._spawn(argv, environ, self.module_path.parent)

    def _wait_for_call(self, host: socket.socket) -> socket.socket:
        host.settimeout(0.1)
        deadline = time.monotonic() + START_TIMEOUT
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                return host.accept()[0]
        raise self._fail(_NOT_INDEXED)

    def _talk(self, call: socket.socket) -> Mapping[str, Any]:
        """Tell a placeholder what it is to be; return what the worker has indexed."""
        if self.is_placeholder:
            call.sendall(json.dumps(self._instance_environ()).encode())
        call.shutdown(socket.SHUT_WR)
        call.settimeout(START_TIMEOUT)
        with call.makefile("rb") as words, contextlib.suppress(OSError, ValueError):
            described: Mapping[str, Any] = json.load(words)
            return described
        with contextlib.suppress(subprocess.TimeoutExpired):  # it has more to print
            self.process.wait(START_TIMEOUT)
        raise self._fail(_NOT_INDEXED)

    def _instance_environ(self) -> dict[str, str]:
        """Return this process's environment with Azure's in place of any cloud's."""
        directory = self.module_path.parent
        return {
            **self.machine_environ(),
            "AzureWebJobsScriptRoot": str(directory),
            "FUNCTIONS_APPLICATION_DIRECTORY": str(directory),
            "FUNCTIONS_EXTENSION_VERSION": "~4",
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "PYTHON_SCRIPT_FILE_NAME": self.module_path.name,
            # the host's default, WebJobs.Script/Workers/Rpc/RpcWorkerConstants.cs
            "PYTHON_THREADPOOL_THREAD_COUNT": "1000",
            "WEBSITE_SITE_NAME": directory.name,
            **self.environ,
        }

    def invoke(
        self,
        function: str,
        data: object,
        *,
        metadata: Mapping[str, object] | None = None,
        inputs: Mapping[str, object] | None = None,
    ) -> Answer:
        """
        Run a function that no request triggers, as the host's admin API does.

        Text and bytes arrive as they are, everything else as JSON; the binding's
        converter makes of it what the function gets. The answer's body is JSON:
        ``{"result": ..., "outputs": {...}}``.

        Args:
            function: its name.
            data: what the trigger delivers.
            metadata: the trigger's metadata, over what its converter cannot do without.
            inputs: the data of the function's input bindings.
        """
        trigger = self._described["functions"].get(function, {}).get("trigger")
        beside = {**_METADATA.get(trigger, {}), **(metadata or {})}
        body = {
            "trigger": encode(data),
            "inputs": {name: encode(value) for name, value in (inputs or {}).items()},
            "metadata": {name: encode(value) for name, value in beside.items()},
        }
        path = f"/admin/functions/{quote(function)}"
        return self.request(path, method="POST", body=json.dumps(body).encode())

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        url = urlsplit(path)
        if url.path in ("", "/"):
            path = url._replace(path=self._target_path()).geturl()
        connection = http.client.HTTPConnection(
            HOST, self._described["port"], timeout=REQUEST_TIMEOUT
        )
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            message = f"the instance does not answer: {error!r}"
            raise self._fail(message) from error
        finally:
            connection.close()

    def _target_path(self) -> str:
        """Return the path of the target's route, up to its first parameter."""
        described = self._described["functions"][self.function]
        if described["trigger"] != "httpTrigger":
            message = f"{self.function} has no HTTP trigger: call it with invoke()"
            raise EmulatorError(message)
        return str(described["path"]).partition("/{")[0] or "/"


def _is_true(option: str) -> bool:
    if option not in {"true", "false"}:
        message = f"an option is {option!r}, neither true nor false"
        raise EmulatorError(message)
    return option == "true"
