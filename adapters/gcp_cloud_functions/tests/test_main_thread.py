"""What a pool's thread cannot connect, the server's main thread does."""

from __future__ import annotations

import os
import signal

import pytest

from serverless_flags import FlagSession, signals
from serverless_flags_gcp_cloud_functions._main_thread import run_on_main_thread
from serverless_flags_gcp_cloud_functions._platform import GcpCloudFunctions
from serverless_flags_gcp_cloud_functions._uvicorn import connect_shutdown


class Worker:
    """What gunicorn's workers have: a handler and a heartbeat, both methods."""

    def __init__(self):
        self.heartbeats = 0

    def notify(self):
        self.heartbeats += 1

    def handle_exit(self, sig, frame):
        """End, some time."""


@pytest.fixture(name="worker")
def _worker():
    worker = Worker()
    before = signal.signal(signal.SIGTERM, worker.handle_exit)
    yield worker
    signal.signal(signal.SIGTERM, before)


def test_work_is_done_once_at_the_next_heartbeat(worker):
    """And the heart goes on beating."""
    done = []

    lent = run_on_main_thread(lambda: done.append(worker.heartbeats))
    before = list(done)
    worker.notify()
    worker.notify()

    assert lent
    assert ([], [1], 2) == (before, done, worker.heartbeats)


def test_two_sessions_have_their_turn(worker):
    """One may be waiting already when another one's first invocation begins."""
    done = []
    for name in ("first", "second"):
        run_on_main_thread(lambda name=name: done.append(name))

    for _ in range(3):
        worker.notify()

    assert {"first", "second"} == set(done)
    assert (len(done), worker.heartbeats) == (2, 3)


def test_work_that_fails_does_not_end_the_worker(worker, caplog):
    """It is logged, and the end is heard when the server has shut down."""

    def fail():
        raise ValueError

    run_on_main_thread(fail)
    worker.notify()
    worker.notify()

    assert worker.heartbeats == 2
    assert ["a signal could not be connected"] == caplog.messages


def test_without_a_server_nobody_lends_a_thread():
    """As in a unit test of the user's."""
    assert not run_on_main_thread(list)


def test_at_import_the_status_says_what_is_to_come(monkeypatch):
    """The master connects nothing: gunicorn overwrites its handlers in the workers."""
    monkeypatch.setenv("FUNCTION_TARGET", "hello")
    flags = FlagSession(client="memory")
    before = signal.getsignal(signal.SIGTERM)

    @flags.wrap
    def hello(request): ...

    assert before == signal.getsignal(signal.SIGTERM)
    assert "first invocation connects" in flags.status.termination


class Server:
    """What uvicorn's server has: a handler and a shutdown, both methods."""

    def handle_exit(self, sig, frame):
        """End, some time."""

    async def shutdown(self):
        """End the requests in flight."""


class Ending:
    """A session, as the signals see it."""

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
    """The second session of a worker hears the shutdown as the first one does."""
    session = Ending()

    found = [connect_shutdown()]
    signals.connect_sigterm(session, grace=1.0)
    found.append(connect_shutdown())

    assert [True, True] == found


def test_a_copy_of_a_server_serves_nothing(uvicorn, monkeypatch):
    """A process that a function has forked hears no shutdown."""
    connect_shutdown()
    monkeypatch.setattr(os, "getpid", lambda: 0)

    assert not connect_shutdown()


def test_the_frameworks_request_timeout_passes():
    """It is raised into the thread of a request, wherever that is."""
    from functions_framework.exceptions import RequestTimeoutException as Timeout

    name = f"{Timeout.__module__}.{Timeout.__qualname__}"
    assert (name,) == GcpCloudFunctions.passing_exceptions
