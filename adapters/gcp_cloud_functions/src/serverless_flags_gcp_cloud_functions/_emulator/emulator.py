"""The emulator of Google Cloud Functions: functions-framework in a container."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

from serverless_flags import EmulatorError, MissingDependencyError
from serverless_flags.testing import Answer, ContainerEmulator

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOST = "127.0.0.1"

_SERVERS: Mapping[str, Mapping[str, str]] = {
    "gthread": {},
    "sync": {"THREADS": "1"},
    "uvicorn": {"FUNCTION_USE_ASGI": "true"},
    "debug": {"DEBUG": "true"},
}
"""The variables by which functions-framework chooses a server (_http/gunicorn.py)."""

_SERVER_NAMES: Mapping[str, str] = {
    "gthread": "gunicorn gthread",
    "sync": "gunicorn sync",
    "uvicorn": "uvicorn",
    "debug": "werkzeug",
}

_PRINT_VERSIONS = """
import importlib.metadata, platform
print(importlib.metadata.version("functions-framework"), platform.python_version())
"""


class GcpCloudFunctionsEmulator(ContainerEmulator):
    """
    An instance of a Cloud Run function under functions-framework.

    Args:
        target: ``path/to/module.py:function``.
        environ: environment variables, in addition to Google's own.
        python: the interpreter that runs the instance.
        server: ``gthread`` (as on Google), ``sync``, ``uvicorn`` or ``debug``. A target
            registered with ``functions_framework.aio`` always gets uvicorn.
        workers: the number of worker processes.
        signature_type: ``http``, ``event``, ``cloudevent`` or ``typed``, for targets
            without a decorator of functions-framework.
        grace: seconds between SIGTERM and SIGKILL; Google gives 10.
    """

    def __init__(
        self,
        target: str,
        *,
        environ: Mapping[str, str] | None = None,
        python: str = sys.executable,
        server: str = "gthread",
        workers: str = "1",
        signature_type: str = "http",
        grace: str = "10",
    ) -> None:
        if server not in _SERVERS:
            message = f"server={server!r} is none of {', '.join(_SERVERS)}"
            raise EmulatorError(message)
        super().__init__(target, environ=environ, python=python)
        self.server = server
        self.workers = workers
        self.signature_type = signature_type
        self.shutdown_grace = float(grace)

    def command(self) -> list[str]:
        """Return the command line of functions-framework."""
        return [
            *(self.python, "-m", "functions_framework"),
            *("--source", str(self.module_path), "--target", self.function),
            *("--signature-type", self.signature_type),
            *("--host", _HOST, "--port", str(self.port)),
        ]

    def variables(self) -> dict[str, str]:
        """Return the variables that Google sets, and those of the server."""
        return {
            "FUNCTION_TARGET": self.function,
            "FUNCTION_SIGNATURE_TYPE": self.signature_type,
            "K_SERVICE": self.function,
            "K_CONFIGURATION": self.function,
            "K_REVISION": f"{self.function}-00001-abc",
            "WORKERS": self.workers,
            **_SERVERS[self.server],
        }

    @property
    def runtime(self) -> str:
        """For example ``functions-framework 3.10 (gunicorn sync), Python 3.13``."""
        framework, python = self._versions
        server = _SERVER_NAMES[self.server]
        return f"functions-framework {framework} ({server}), Python {python}"

    @cached_property
    def _versions(self) -> tuple[str, str]:
        """The versions of functions-framework and Python in the instance."""
        process = subprocess.run(  # noqa: S603  reason: the caller's own interpreter
            [self.python, "-c", _PRINT_VERSIONS],
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode != 0:
            message = (
                f"functions-framework is not installed for {self.python}: "
                "pip install 'serverless-flags-gcp-cloud-functions[emulator]'"
            )
            raise MissingDependencyError(message, name="functions_framework")
        framework, python = process.stdout.split()
        return framework, python

    def start(self) -> None:
        """
        Start gunicorn's master and return when a worker serves its port.

        Raises:
            EmulatorError: when functions-framework is not installed, or does not start;
                the message shows the instance's output.
        """
        try:
            super().start()
        except EmulatorError as failure:
            try:
                _ = self._versions
            except MissingDependencyError as error:
                raise EmulatorError(str(error)) from failure
            raise

    def _is_ready(self) -> bool:
        """
        Return whether a worker serves, which closes a connection that sends nothing.

        gunicorn's master accepts connections before it has forked a worker, and a
        worker that is frozen while it is being forked may never thaw (seen on Linux
        6.18). No request is sent: the first one is the first invocation.
        """
        try:
            with socket.create_connection((_HOST, self.port), timeout=1.0) as probe:
                probe.shutdown(socket.SHUT_WR)
                return not probe.recv(1)
        except OSError:
            return False

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        response, text = self._send(self.port, method, path, headers, body)
        if response.getheader("Server") == "uvicorn":
            self.server = "uvicorn"  # functions-framework chooses it for aio targets
        return response.status, text

    def cloud_event(self, data: Any = None, **attributes: str) -> Answer:
        """
        Deliver an event as Eventarc does: a CloudEvent over HTTP in binary mode.

        Args:
            data: the payload, sent as JSON.
            attributes: ``type``, ``source``, ``id`` and others; each has a default.
        """
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "//serverless-flags/emulator",
            "type": "com.example.emulated",
            **attributes,
        }
        headers = {f"ce-{name}": value for name, value in event.items()}
        headers["content-type"] = "application/json"
        return self.request(
            "/", method="POST", headers=headers, body=json.dumps(data).encode()
        )
