"""The base class of emulators of containers: a command that serves HTTP on ``PORT``."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing.emulator import HOST, Emulator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ContainerEmulator(Emulator):
    """
    A container as Knative, Cloud Run, OpenFaaS and others start it.

    Subclass it for your platform and define `command`, and `variables` if the platform
    sets any. The emulator runs the command in the directory of the target, with a free
    port of 127.0.0.1 in the variable ``PORT``; it has started when that port accepts
    connections.
    """

    port = 0
    """The port that the container listens on; 0 before ``start``."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the program that serves the target, and its arguments."""

    def variables(self) -> Mapping[str, str]:
        """Return the environment variables that the platform sets; none by default."""
        return {}

    @property
    def runtime(self) -> str:
        """The command line, to show to users."""
        return " ".join(self.command())

    def start(self) -> None:
        """
        Run the command and return when it listens.

        Raises:
            EmulatorError: when the command exits, or does not listen within
                ``start_timeout``; the message shows its output.
        """
        self.port = _free_port()
        environ = {**self.machine_environ(), **self.variables(), **self.environ}
        environ["PORT"] = str(self.port)
        self._spawn(self.command(), environ, self.module_path.parent)
        deadline = time.monotonic() + self.start_timeout
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                what = "the container does not listen"
                raise self._fail(what)
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        """Return whether the port accepts connections; override it if that is early."""
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        response, text = self._send(self.port, method, path, headers, body)
        return response.status, text


PORTS = range(20_000, 32_768)
"""Below the ports that systems give to sockets which ask for any: no server of a test
that starts meanwhile gets the port before the container listens on it."""


def _free_port() -> int:
    """Return a port that was free a moment ago."""
    for port in random.sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port
    message = f"no port of {HOST} between {PORTS.start} and {PORTS.stop} is free"
    raise EmulatorError(message)
