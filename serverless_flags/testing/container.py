"""A container on this machine: a command that listens on ``PORT`` and obeys SIGTERM."""

from __future__ import annotations

import http.client
import socket
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

from serverless_flags.testing.emulator import START_TIMEOUT, Emulator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST = "127.0.0.1"

REQUEST_TIMEOUT = 60.0
"""Seconds until a request without an answer is given up."""


class ContainerEmulator(Emulator):
    """
    What Knative, Cloud Run, OpenFaaS and others start: subclass it for one of them.

    It runs `command` with `variables` and ``PORT`` in the directory of the target, and
    is started when it takes connections.
    """

    port = 0

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the program that serves the target, and its arguments."""

    def variables(self) -> Mapping[str, str]:
        """Return the platform's own environment variables."""
        return {}

    @property
    def runtime(self) -> str:
        """Return the command, for people."""
        return " ".join(self.command())

    def start(self) -> None:
        """
        Start the command and return when it listens.

        Raises:
            EmulatorError: when it ends or does not listen in time; the message shows
                what it printed.
        """
        self.port = _free_port()
        environ = {**self.machine_environ(), **self.variables(), **self.environ}
        environ["PORT"] = str(self.port)
        self._spawn(self.command(), environ, self.module_path.parent)
        deadline = time.monotonic() + START_TIMEOUT
        while not _listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                what = "the container does not listen"
                raise self._fail(what)
            time.sleep(0.02)

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            HOST, self.port, timeout=REQUEST_TIMEOUT
        )
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            what = f"the instance does not answer: {error!r}"
            raise self._fail(what) from error
        finally:
            connection.close()


def _free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
