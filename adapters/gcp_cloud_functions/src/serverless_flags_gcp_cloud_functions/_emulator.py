"""Google Cloud Functions on this machine: the real functions-framework."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from serverless_flags import EmulatorError, MissingDependencyError
from serverless_flags.testing import Answer, Emulator
from serverless_flags.testing.emulator import START_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"

REQUEST_TIMEOUT = 60.0
"""Seconds until a request without an answer is given up: Google's default limit."""

SERVERS: Mapping[str, Mapping[str, str]] = {
    "gthread": {},
    "sync": {"THREADS": "1"},
    "uvicorn": {"FUNCTION_USE_ASGI": "true"},
    "debug": {"DEBUG": "true"},
}
"""What makes functions-framework choose each of its servers (_http/gunicorn.py)."""

_SERVER_NAMES: Mapping[str, str] = {
    "gthread": "gunicorn gthread",
    "sync": "gunicorn sync",
    "uvicorn": "uvicorn",
    "debug": "werkzeug",
}

_VERSIONS = """
import importlib.metadata, platform
print(importlib.metadata.version("functions-framework"), platform.python_version())
"""


class FunctionsFramework(Emulator):
    """
    An instance of a Cloud Run function under functions-framework.

    Args:
        server: ``gthread`` (as on Google), ``sync``, ``uvicorn`` or ``debug``. A target
            registered with ``functions_framework.aio`` gets uvicorn in any case.
        workers: worker processes.
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
        if server not in SERVERS:
            message = f"server={server!r} is none of {', '.join(SERVERS)}"
            raise EmulatorError(message)
        super().__init__(target, environ=environ, python=python)
        self.server = server
        self.workers = workers
        self.signature_type = signature_type
        self.shutdown_grace = float(grace)
        self.port = 0

    @property
    def runtime(self) -> str:
        """Return, for example, functions-framework 3.10.2 (gunicorn gthread), ...."""
        framework, python = self._versions
        server = _SERVER_NAMES[self.server]
        return f"functions-framework {framework} ({server}), Python {python}"

    @cached_property
    def _versions(self) -> tuple[str, str]:
        """The versions of functions-framework and Python in the instance."""
        process = subprocess.run(  # noqa: S603  reason: the caller's own interpreter
            [self.python, "-c", _VERSIONS], capture_output=True, text=True, check=False
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

        Nothing is requested: the first request is the instance's first invocation.
        """
        self.port = _free_port()
        argv = [self.python, "-m", "functions_framework"]
        argv += ["--source", str(self.module_path), "--target", self.function]
        argv += ["--signature-type", self.signature_type]
        argv += ["--host", HOST, "--port", str(self.port)]
        self._spawn(argv, self._instance_environ(), self.module_path.parent)
        deadline = time.monotonic() + START_TIMEOUT
        while not _serves(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._raise_not_started()
            time.sleep(0.02)

    def _raise_not_started(self) -> NoReturn:
        """Raise EmulatorError with the cure, or with what the instance printed."""
        try:
            what = f"functions-framework {self._versions[0]} did not start"
        except MissingDependencyError as error:
            raise EmulatorError(str(error)) from error
        raise self._fail(what)

    def _instance_environ(self) -> dict[str, str]:
        """Return this process's environment with Google's in place of any cloud's."""
        return {
            **self.machine_environ(),
            "FUNCTION_TARGET": self.function,
            "FUNCTION_SIGNATURE_TYPE": self.signature_type,
            "K_SERVICE": self.function,
            "K_CONFIGURATION": self.function,
            "K_REVISION": f"{self.function}-00001-abc",
            "PORT": str(self.port),
            "WORKERS": self.workers,
            **SERVERS[self.server],
            **self.environ,
        }

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            HOST, self.port, timeout=REQUEST_TIMEOUT
        )
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            if response.getheader("Server") == "uvicorn":
                self.server = "uvicorn"  # an aio target has it, whatever was asked for
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            what = f"the instance does not answer: {error!r}"
            raise self._fail(what) from error
        finally:
            connection.close()  # an idle connection would delay the instance's end

    def cloud_event(self, data: Any = None, **attributes: str) -> Answer:
        """
        Deliver an event as Eventarc does: CloudEvents over HTTP in binary mode.

        Args:
            data: the payload, sent as JSON.
            attributes: ``type``, ``source``, ``id`` and others, over the defaults.
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


def _free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _serves(port: int) -> bool:
    """
    Connect, say nothing and be hung up on: a worker is there and none was invoked.

    gunicorn's master accepts connections before it has forked a worker, and a worker
    that is frozen while it is being forked may never thaw (seen on Linux 6.18).
    """
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as probe:
            probe.shutdown(socket.SHUT_WR)
            return not probe.recv(1)
    except OSError:
        return False
