"""The base class of the emulators: one instance of a function on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing._machine_environ import machine_environ
from serverless_flags.testing._processes import group_states, wait_until_asleep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

HOST = "127.0.0.1"
"""The only address that emulated servers bind."""

_REQUEST_TIMEOUT = 60.0
"""Seconds after which a request without a response fails."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response that the caller of a function received."""

    status: int
    """The HTTP status; 500 when the function raised."""

    body: str
    """The body as text."""

    seconds: float
    """Seconds from the call to its response."""

    def json(self) -> Any:
        """Return the body parsed as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Exit:
    """How an instance ended."""

    code: int
    """The exit code; negative when a signal ended the process."""

    seconds: float
    """Seconds from the platform's signal to the end of the process."""

    killed: bool
    """Whether the platform sent SIGKILL, because the grace period was over."""


class Emulator(ABC):
    """
    One instance of a function under its platform's real runtime, for development.

    Use it as a context manager: entering starts the instance, leaving kills all of its
    processes, which form a process group. Servers bind 127.0.0.1 only. POSIX only.

    Args:
        target: ``path/to/module.py:function``.
        environ: environment variables, in addition to the platform's own.
        python: the interpreter that runs the instance; by default the current one.

    Raises:
        EmulatorError: when ``target`` has another form or its file does not exist.
    """

    shutdown_grace: float = 10.0
    """Seconds between the platform's SIGTERM and its SIGKILL."""

    start_timeout: float = 30.0
    """Seconds in which a started instance must be ready, on a slow laptop too."""

    def __init__(
        self,
        target: str,
        *,
        environ: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        path, separator, self.function = target.rpartition(":")
        if not separator or not path or not self.function:
            message = f"{target!r} is not path/to/module.py:function"
            raise EmulatorError(message)
        if not Path(path).is_file():
            message = f"{target!r}: there is no file {str(Path(path).absolute())!r}"
            raise EmulatorError(message)
        self.module_path = Path(path).resolve()
        self.environ = dict(environ or {})
        self.python = python
        self.cold_start = 0.0
        """Seconds from the start of the process to its first response; 0 before."""
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._started = 0.0
        self._frozen = False

    # -- for the emulator of a platform to define -----------------------------------
    @property
    @abstractmethod
    def runtime(self) -> str:
        """The runtime and its version, to show to users: ``awslambdaric 4.2.2``."""

    @abstractmethod
    def start(self) -> None:
        """Start the instance and return when it is ready for its first invocation."""

    @abstractmethod
    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        """
        Invoke the function through its HTTP trigger; return the status and the body.

        Where the instance itself serves HTTP, `_send` does that.
        """

    # -- common to all platforms ---------------------------------------------------
    def request(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
    ) -> Answer:
        """
        Call the function through its HTTP trigger.

        Args:
            path: the path, with a query string if you need one.
            method: the HTTP method.
            headers: the request's headers, by name.
            body: the request's body; text is sent as UTF-8.

        Raises:
            EmulatorError: when the instance has ended or does not answer.
        """
        began = time.monotonic()
        sent = body.encode() if isinstance(body, str) else body
        status, text = self._request(method, path, headers or {}, sent)
        now = time.monotonic()
        if not self.cold_start:
            self.cold_start = now - self._started
        return Answer(status, text, now - began)

    def _send(
        self, port: int, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[http.client.HTTPResponse, str]:
        """
        Send an HTTP request to ``port``; return the response and its body as text.

        Raises:
            EmulatorError: when there is no response; it shows the instance's output.
        """
        connection = http.client.HTTPConnection(HOST, port, timeout=_REQUEST_TIMEOUT)
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            return response, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            what = f"the instance does not answer: {error!r}"
            raise self._fail(what) from error
        finally:
            connection.close()  # an idle connection would delay the instance's end

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The instance's first process. Raises EmulatorError before ``start``."""
        if self._process is None:
            message = "the instance is not running: call start() first"
            raise EmulatorError(message)
        return self._process

    @property
    def output(self) -> str:
        """What the instance has written to standard output and standard error."""
        if self._output is None:
            return ""
        handle = self._output.fileno()  # not seek(): the instance shares the offset
        size = os.fstat(handle).st_size
        return os.pread(handle, size, 0).decode(errors="replace")

    def freeze(self) -> None:
        """Stop every process of the instance (SIGSTOP), as a platform freezes it."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Continue every process of the instance (SIGCONT)."""
        os.killpg(self.process.pid, signal.SIGCONT)
        self._frozen = False

    def kill(self) -> None:
        """Kill every process of the instance (SIGKILL)."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def terminate(self) -> Exit:
        """End the instance as its platform does: SIGTERM, grace period, SIGKILL."""
        if self._frozen:
            self.thaw()
            wait_until_asleep(self.process.pid)
        process, began = self.process, time.monotonic()
        self._send_sigterm()
        try:
            process.wait(self.shutdown_grace)
            killed = False
        except subprocess.TimeoutExpired:
            self.kill()
            killed = True
        return Exit(process.returncode, time.monotonic() - began, killed)

    def _send_sigterm(self) -> None:
        """Signal the first process; override it where the platform signals all."""
        self.process.send_signal(signal.SIGTERM)

    def _process_states(self) -> set[str]:
        """Return the states of the instance's processes; ``Z`` is one that ended."""
        return group_states(self.process.pid)

    @staticmethod
    def machine_environ() -> dict[str, str]:
        """Return this process's variables, without those of any platform."""
        return machine_environ()

    def _spawn(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path
    ) -> None:
        """Start ``argv`` as a process group of its own and collect its output."""
        if self._output is None:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115  reason: lives as long as the instance
        self._frozen = False
        self._started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603  reason: the caller's own program
            argv,
            env={"PYTHONUNBUFFERED": "1", **environ},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _fail(self, what: str) -> EmulatorError:
        """Return an EmulatorError that shows the last output of the instance."""
        code = None if self._process is None else self._process.poll()
        return EmulatorError(
            f"{what} (exit code {code}); the instance printed:\n{self.output[-4000:]}"
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the instance and release its resources; its output is lost."""
        self.kill()
        if self._output is not None:
            self._output.close()
            self._output = None
