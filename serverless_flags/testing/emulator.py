"""One instance of a platform on this machine: what every adapter's emulator shares."""

from __future__ import annotations

import contextlib
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

START_TIMEOUT = 30.0
"""Seconds an instance may take until it can be invoked, on a slow laptop."""

_FOREIGN = (
    *("AWS_", "AZURE_", "AzureWebJobs", "CLOUD_RUN_", "CONTAINER_APP_", "FUNCTION"),
    *("GCF_", "GUNICORN_", "K_", "LAMBDA_", "PYTHON_", "WEBSITE_", "WERKZEUG_"),
)
"""What the variables of clouds and servers start with: an instance has its own."""

_FOREIGN_NAMES = frozenset(
    {
        "DEBUG",
        "ENTRY_POINT",
        "GCP_PROJECT",
        "HOST",
        "LOG_EXECUTION_ID",
        "PORT",
        "THREADED_TIMEOUT_ENABLED",
        "THREADS",
        "WORKERS",
        "_HANDLER",
    }
)
_WAKE_LOOKS = 3
_WAKE_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller of a function got."""

    status: int
    """The HTTP status; 500 when the function raised."""

    body: str
    """The body as text."""

    seconds: float
    """From the call to its answer."""

    def json(self) -> Any:
        """Return the body parsed as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Exit:
    """How an instance ended."""

    code: int
    """The exit code; negative when a signal ended the process."""

    seconds: float
    """From the platform's signal to the end of the process."""

    killed: bool
    """Whether the grace ran out and the platform killed it."""


class Emulator(ABC):
    """
    An instance under its platform's real runtime, in a process group of its own.

    A context manager: entering starts the instance, leaving kills what is left of it.
    Servers bind 127.0.0.1 only. POSIX only.
    """

    shutdown_grace: float = 10.0
    """Seconds between the platform's SIGTERM and its SIGKILL."""

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
        """Seconds from the start of the process to its first answer; 0 before."""
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._started = 0.0
        self._frozen = False

    # -- what each platform adds ---------------------------------------------------
    @property
    @abstractmethod
    def runtime(self) -> str:
        """The runtime and its version, for people: ``awslambdaric 4.2.2``."""

    @abstractmethod
    def start(self) -> None:
        """Start the instance and return when it can be invoked."""

    @abstractmethod
    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        """Invoke the function over the platform's own HTTP interface."""

    # -- what all share ------------------------------------------------------------
    def request(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
    ) -> Answer:
        """
        Call the function as its HTTP trigger would be called.

        Args:
            path: with its query, if it has one.
            method: of HTTP.
            headers: by name.
            body: text is sent as UTF-8.

        Raises:
            EmulatorError: when the instance is gone or does not answer.
        """
        began = time.monotonic()
        sent = body.encode() if isinstance(body, str) else body
        status, text = self._request(method, path, headers or {}, sent)
        now = time.monotonic()
        if not self.cold_start:
            self.cold_start = now - self._started
        return Answer(status, text, now - began)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The instance's first process. Raises EmulatorError before ``start``."""
        if self._process is None:
            message = "the instance is not running: call start() first"
            raise EmulatorError(message)
        return self._process

    @property
    def output(self) -> str:
        """What the instance has printed so far, standard error included."""
        if self._output is None:
            return ""
        handle = self._output.fileno()  # not seek(): the instance shares the offset
        size = os.fstat(handle).st_size
        return os.pread(handle, size, 0).decode(errors="replace")

    def freeze(self) -> None:
        """Stop every process of the instance, as a platform freezes it."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let the instance run again."""
        os.killpg(self.process.pid, signal.SIGCONT)
        self._frozen = False

    def kill(self) -> None:
        """End the instance without a signal it could hear."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def terminate(self) -> Exit:
        """End the instance as the platform does: SIGTERM, the grace, SIGKILL."""
        if self._frozen:
            self._wake()
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
        """Signal the first process; a platform that signals the group overrides it."""
        self.process.send_signal(signal.SIGTERM)

    def _wake(self) -> None:
        """
        Thaw, and wait until every process has slept for a few milliseconds.

        Before that Linux may hand SIGTERM to another thread, or CPython be about to
        block, and a handler in Python would not run: a SIGSTOP's doing, no platform's.
        """
        self.thaw()
        deadline = time.monotonic() + _WAKE_TIMEOUT
        asleep = 0
        while asleep < _WAKE_LOOKS and time.monotonic() < deadline:
            time.sleep(0.001)
            asleep = asleep + 1 if self._states() <= {"S", "Z"} else 0

    def _states(self) -> set[str]:
        """Return the states of the instance's processes; a dead one is a ``Z``."""
        states = set()
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid:
                    states.add(fields[0])
        return states

    @staticmethod
    def machine_environ() -> dict[str, str]:
        """Return this process's environment without any platform's own variables."""
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_FOREIGN) and name not in _FOREIGN_NAMES
        }

    def _spawn(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path
    ) -> None:
        """Start ``argv`` in a process group of its own, its output collected."""
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
        """Build the error that shows what the instance printed."""
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
        """Kill what is left of the instance and let go of its resources."""
        self.kill()
        if self._output is not None:
            self._output.close()
            self._output = None
