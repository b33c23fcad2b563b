"""Signals are connected on the server's main thread if the function runs elsewhere."""

from __future__ import annotations

import os
import signal

import pytest

from serverless_flags import FlagSession, signals
from serverless_flags_gcp_cloud_functions._main_thread import run_on_main_thread
from serverless_flags_gcp_cloud_functions._platform import GcpCloudFunctions
from serverless_flags_gcp_cloud_functions._uvicorn import connect_shutdown


class Worker:
    """A gunicorn worker: its signal handler and its heartbeat are methods."""

    def __init__(self):
        self.heartbeats = 0

    def notify(self):
        self.heartbeats += 1

    def handle_exit(self, sig, frame):
        """Start to shut down."""


@pytest.fixture(name="worker")
def _worker():
    worker = Worker()
    before = signal.signal(signal.SIGTERM, worker.handle_exit)
    yield worker
    signal.signal(signal.SIGTERM, before)


def test_work_is_done_once_at_the_next_heartbeat(worker):
    """The work runs once, and later heartbeats are unchanged."""
    done = []

    scheduled = run_on_main_thread(lambda: done.append(worker.heartbeats))
    before = list(done)
    worker.notify()
    worker.notify()

    assert scheduled
    assert ([], [1], 2) == (before, done, worker.heartbeats)


def test_the_work_of_two_sessions_is_done(worker):
    """Work may be scheduled while other work still waits for a heartbeat."""
    done = []
    for name in ("first", "second"):
        run_on_main_thread(lambda name=name: done.append(name))

    for _ in range(3):
        worker.notify()

    assert {"first", "second"} == set(done)
    assert (len(done), worker.heartbeats) == (2, 3)


def test_work_that_fails_does_not_end_the_worker(worker, caplog):
    """An error in the work is logged and does not reach the worker."""

    def fail():
        raise ValueError

    run_on_main_thread(fail)
    worker.notify()
    worker.notify()

    assert worker.heartbeats == 2
    assert ["a signal could not be connected"] == caplog.messages


def test_without_a_server_nothing_is_scheduled():
    """Without a server, as in a unit test, the work is not scheduled."""
    assert not run_on_main_thread(list)


def test_the_import_connects_nothing(monkeypatch):
    """At import nothing is connected, and the status says when it will be."""
    monkeypatch.setenv("FUNCTION_TARGET", "hello")
    flags = FlagSession(client="memory")
    before = signal.getsignal(signal.SIGTERM)

    @flags.wrap
    def hello(request): ...

    assert before == signal.getsignal(signal.SIGTERM)
    assert "first invocation connects" in flags.status.termination


class Server:
    """A uvicorn server: its signal handler and its shutdown are methods."""

    def handle_exit(self, sig, frame):
        """Start to shut down."""

    async def shutdown(self):
        """Finish the requests in flight."""


class Ending:
    """A session with the methods that ``signals`` calls."""

    def terminate(self, timeout):
        """Flush."""

    def close(self, timeout):
        return True


@pytest.fixture(name="uvicorn")
def _uvicorn():
    server = Server()
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    yield server
    signal.signal(signal.SIGTERM, before)


def test_a_server_is_found_behind_our_own_handler(uvicorn):
    """The server is found although SIGTERM has our handler."""
    session = Ending()

    found = [connect_shutdown()]
    signals.connect_sigterm(session, grace=1.0)
    found.append(connect_shutdown())

    assert [True, True] == found


def test_a_copy_of_a_server_serves_nothing(uvicorn, monkeypatch):
    """In a forked process, the copy of the server cannot be connected."""
    connect_shutdown()
    monkeypatch.setattr(os, "getpid", lambda: 0)

    assert not connect_shutdown()


def test_the_request_timeout_passes():
    """``passing_exceptions`` has the framework's request timeout."""
    from functions_framework.exceptions import RequestTimeoutException as Timeout

    name = f"{Timeout.__module__}.{Timeout.__qualname__}"
    assert (name,) == GcpCloudFunctions.passing_exceptions
