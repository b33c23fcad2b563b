"""What a pool's thread cannot connect, the server's main thread does."""

from __future__ import annotations

import signal

import pytest

from serverless_flags import FlagSession
from serverless_flags_gcp_cloud_functions._main_thread import run_on_main_thread


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
