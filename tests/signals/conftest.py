"""A separate process for each way to end, and a separate hub for each unit test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags import signals
from serverless_flags._signals import threads as threads_module
from serverless_flags._signals.hub import SignalHub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 20.0
"""Seconds after which a process that hangs is given up."""

PRELUDE = """
import ctypes
import os
import signal
import sys
import threading

from serverless_flags import signals
from serverless_flags._signals import threads as threads_module


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())


class Session:
    def __init__(self, name="session", work=lambda timeout: None):
        self.name, self.work = name, work

    def terminate(self, timeout):
        self.work(timeout)
        say(self.name, "terminated")

    def close(self, timeout):
        say(self.name, "closed")
        return True


def wait():
    say("ready")
    while True:
        signal.pause()


def block():
    "Block the main thread in C, where no signal brings it back to Python."
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(256)
    libc.pthread_mutex_init(mutex, None)
    libc.pthread_mutex_lock(mutex)
    gate = threading.Lock()
    gate.acquire()
    threading.Thread(target=lambda: gate.acquire() and say("ready")).start()
    sys.setswitchinterval(1000)  # the thread goes on when this one has entered C
    gate.release()
    libc.pthread_mutex_lock(mutex)


"""


class Process:
    """A Python program that runs until the test ends it."""

    def __init__(self, program: str, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + dedent(program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environ},
        )

    def ready(self) -> list[str]:
        """Wait for the line ``ready``; return the lines before it."""
        assert self._process.stdout is not None
        lines = []
        for line in iter(self._process.stdout.readline, ""):
            if line == "ready\n":
                return lines
            lines.append(line.strip())
        raise AssertionError(lines, self._process.stderr.read())

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> tuple[int, list[str]]:
        """Wait for the end; return the exit code and the lines until then."""
        out, err = self._process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        assert "Exception ignored" not in err, err
        return self._process.returncode, out.splitlines()

    def alive(self) -> bool:
        return self._process.poll() is None

    def read(self) -> str:
        """Return the next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        if self.alive():
            self._process.kill()
        self._process.communicate(timeout=PATIENCE)


@pytest.fixture(name="run")
def _run() -> Iterator[Callable[..., Process]]:
    """Return a function that starts a program, which is killed after the test."""
    started: list[Process] = []

    def run(program: str, **environ: str) -> Process:
        started.append(Process(program, environ))
        return started[-1]

    yield run
    for process in started:
        process.kill()


@pytest.fixture(name="hub")
def _hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[SignalHub]:
    """Return a hub for this test; the process is restored afterwards."""
    hub = SignalHub()
    monkeypatch.setattr(signals, "_hub", hub)
    monkeypatch.setattr(signals, "_hooked", True)
    handler = signal.getsignal(signal.SIGTERM)
    threads = set(threading.enumerate())
    yield hub
    signal.signal(signal.SIGTERM, handler)
    signal.set_wakeup_fd(-1)
    if hub.watcher is not None:
        hub.watcher.sockets[1].close()
        for thread in set(threading.enumerate()) - threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        hub.watcher.sockets[0].close()


class Session:
    """A session that records the calls of the hub."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []
        self.called = threading.Event()
        self.work: Callable[[], Any] = lambda: None

    def terminate(self, timeout: float) -> None:
        self._note("terminate", timeout)

    def close(self, timeout: float) -> bool:
        self._note("close", timeout)
        return True

    def _note(self, what: str, timeout: float) -> None:
        self.work()
        self.calls.append((what, timeout))
        self.called.set()


@pytest.fixture(name="session")
def _session() -> Session:
    return Session()


@pytest.fixture(name="new_session")
def _new_session() -> type[Session]:
    return Session


@pytest.fixture(name="previous")
def _previous(hub):
    """Install a handler first; return the list of the signals that it received."""
    received = []
    signal.signal(signal.SIGTERM, lambda signum, _: received.append(signum))
    return received


@pytest.fixture(name="exits")
def _exits(monkeypatch):
    """Return the exit codes with which the process would have ended."""
    codes = []
    ended = threading.Event()

    def leave(code):
        codes.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", leave)
    return codes, ended


@pytest.fixture(name="no_threads")
def _no_threads(monkeypatch):
    """Let no thread be started, as at the interpreter's exit."""

    def start_new_thread(*_args):
        message = "can't start new thread at interpreter shutdown"
        raise RuntimeError(message)

    monkeypatch.setattr(threads_module._thread, "start_new_thread", start_new_thread)
