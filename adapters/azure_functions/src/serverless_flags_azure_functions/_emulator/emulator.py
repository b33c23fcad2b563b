"""The emulator of Azure Functions: the real worker library behind a small host."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing import Answer, Emulator
from serverless_flags_azure_functions._emulator.worker.data import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOST = "127.0.0.1"

_NOT_INDEXED = "the function app could not be indexed"

_PLACEHOLDER = {"FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_PLACEHOLDER_MODE": "1"}
"""The environment of a worker that has no app yet."""

_METADATA: Mapping[str, Mapping[str, object]] = {
    "queueTrigger": {"Id": "1", "DequeueCount": 1, "PopReceipt": "1"},
    "serviceBusTrigger": {"MessageId": "1", "UserProperties": {}},
    "eventHubTrigger": {"SystemProperties": {}},
}
"""The trigger metadata that azure-functions needs in order to convert the data."""


class AzureFunctionsEmulator(Emulator):
    """
    An instance of a function app.

    On Python 3.13 and later it runs azure-functions-runtime, the worker's own library;
    on older ones azure-functions 1.x and, in ``worker``, a replica of the worker.
    ``request("/")`` invokes the target; other paths are matched with the app's routes.

    Args:
        target: ``path/to/function_app.py:function``.
        environ: environment variables, in addition to Azure's own.
        python: the interpreter that runs the instance.
        placeholder: ``true`` starts the worker before it has an app, as Consumption
            plans do; it receives its environment later, in a message.
        main_thread: ``false`` runs the event loop, and imports the app, on another
            thread, as the worker of Python 3.15 does.
    """

    shutdown_grace = 5.0
    """Seconds between SIGTERM and SIGKILL: App Service's default
    (``WEBSITES_CONTAINER_STOP_TIME_LIMIT``)."""

    _description: Mapping[str, Any] | None = None

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
        """For example ``azure-functions-runtime 1.3.0, Python 3.13.0``."""
        return str(self._described["runtime"])

    @property
    def _described(self) -> Mapping[str, Any]:
        """The instance's port, runtime and functions, after ``start`` only."""
        if self._description is None:
            message = "the instance is not running: call start() first"
            raise EmulatorError(message)
        return self._description

    def start(self) -> None:
        """
        Start the instance and return when it has indexed its functions.

        As on Azure, the worker connects to its host. No request is sent: the first one
        is the first invocation.

        Raises:
            EmulatorError: when the app cannot be indexed or has no such function; the
                message shows the instance's output.
        """
        with socket.create_server((_HOST, 0)) as host:
            self._spawn_worker(host.getsockname()[1])
            connection = self._accept_worker(host)
        with connection:
            self._description = self._index(connection)
        functions = self._described["functions"]
        if self.function not in functions:
            message = f"{self.module_path.name} has {sorted(functions)}, "
            raise EmulatorError(message + f"no function {self.function!r}")

    def _spawn_worker(self, port: int) -> None:
        module = "serverless_flags_azure_functions._emulator.worker"
        argv = [self.python, "-m", module, str(self.module_path), str(port)]
        argv.append("main" if self.on_main_thread else "bridge")
        environ = self._environ()
        if self.is_placeholder:
            environ = {**self.machine_environ(), **_PLACEHOLDER}
        self._spawn(argv, environ, self.module_path.parent)

    def _accept_worker(self, host: socket.socket) -> socket.socket:
        host.settimeout(0.1)
        deadline = time.monotonic() + self.start_timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                return host.accept()[0]
        raise self._fail(_NOT_INDEXED)

    def _index(self, connection: socket.socket) -> Mapping[str, Any]:
        """Send a placeholder its environment; return what the worker has indexed."""
        if self.is_placeholder:
            connection.sendall(json.dumps(self._environ()).encode())
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(self.start_timeout)
        with (
            connection.makefile("rb") as file,
            contextlib.suppress(OSError, ValueError),
        ):
            description: Mapping[str, Any] = json.load(file)
            return description
        with contextlib.suppress(subprocess.TimeoutExpired):  # it prints a traceback
            self.process.wait(self.start_timeout)
        raise self._fail(_NOT_INDEXED)

    def _environ(self) -> dict[str, str]:
        """Return the machine's variables, without any platform's, and Azure's."""
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
        Invoke a function without an HTTP trigger through the host's admin API.

        Text and bytes are sent unchanged, all other values as JSON; the binding's
        converter makes the function's argument from them. The body of the answer is
        JSON: ``{"result": ..., "outputs": {...}}``.

        Args:
            function: the function's name.
            data: the data of the trigger.
            metadata: the trigger's metadata; what its converter needs has defaults.
            inputs: the data of the function's input bindings, by name.
        """
        trigger = self._described["functions"].get(function, {}).get("trigger")
        all_metadata = {**_METADATA.get(trigger, {}), **(metadata or {})}
        body = {
            "trigger": encode(data),
            "inputs": {name: encode(value) for name, value in (inputs or {}).items()},
            "metadata": {name: encode(value) for name, value in all_metadata.items()},
        }
        path = f"/admin/functions/{quote(function)}"
        return self.request(path, method="POST", body=json.dumps(body).encode())

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        url = urlsplit(path)
        if url.path in ("", "/"):
            path = url._replace(path=self._target_path()).geturl()
        port = self._described["port"]
        response, text = self._send(port, method, path, headers, body)
        return response.status, text

    def _target_path(self) -> str:
        """Return the path of the target's route, without its parameters."""
        function = self._described["functions"][self.function]
        if function["trigger"] != "httpTrigger":
            message = f"{self.function} has no HTTP trigger: call it with invoke()"
            raise EmulatorError(message)
        return str(function["path"]).partition("/{")[0] or "/"


def _is_true(option: str) -> bool:
    if option not in {"true", "false"}:
        message = f"an option is {option!r}, neither true nor false"
        raise EmulatorError(message)
    return option == "true"
