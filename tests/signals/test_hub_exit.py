"""Signals while the interpreter exits, and where greenlets replace threads."""

from __future__ import annotations

import _thread
import os
import signal
import threading

import pytest

from serverless_flags import signals
from serverless_flags._signals import hub as hub_module


@pytest.fixture(name="killed")
def _killed(monkeypatch):
    """Return the signals that this process has sent to itself."""
    sent = []
    monkeypatch.setattr(os, "kill", lambda _pid, signum: sent.append(signum))
    return sent


@pytest.fixture(name="here")
def _here(monkeypatch):
    """Run thread functions on the calling thread, where signals interrupt them."""

    def run(works, _deadline):
        for function, seconds in works:
            function(seconds)
        return []

    monkeypatch.setattr(hub_module, "run_in_parallel", run)


class TestWhileExiting:
    def test_the_close_is_not_cut_off(self, hub, session, here, killed) -> None:
        """The signal ends the process when all counts have been sent."""
        seen = []

        def work():
            _raise()
            seen.append(list(killed))

        session.work = work
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.connect_sigterm(session, grace=1.0)
        hub.close_at_exit()

        assert [[]] == seen
        assert ["close"] == [what for what, _ in session.calls]
        assert [signal.SIGTERM] == killed

    def test_the_previous_handler_is_called_at_once(
        self, hub, previous, session, here, killed
    ) -> None:
        """It decides whether the process ends, and is called once."""
        session.work = _raise
        signals.connect_sigterm(session, grace=1.0)
        hub.close_at_exit()

        assert [signal.SIGTERM] == previous
        assert [] == killed

    def test_afterwards_the_previous_handler_is_restored(
        self, hub, previous, session
    ) -> None:
        """Nothing is left to be flushed."""
        signals.connect_sigterm(session, grace=1.0)
        hub.close_at_exit()
        _raise()

        assert [signal.SIGTERM] == previous
        assert ["close"] == [what for what, _ in session.calls]

    def test_off_the_main_thread_the_handler_stays(self, hub, session) -> None:
        """Python allows no handler to be restored there."""
        signals.connect_sigterm(session, grace=1.0)
        own_handler = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=hub.close_at_exit)
        thread.start()
        thread.join(20)

        assert own_handler is signal.getsignal(signal.SIGTERM)


class TestGreenlets:
    """gevent and eventlet replace the function that starts threads."""

    @pytest.fixture(autouse=True)
    def _green(self, monkeypatch):
        def start_greenlet(function, arguments):
            threading.Thread(target=function, args=arguments).start()

        monkeypatch.setattr(_thread, "start_new_thread", start_greenlet)

    def test_the_handler_waits_for_nothing(self, hub, previous, session) -> None:
        """It may run where nothing can wait; the flush runs in another greenlet."""
        goes_on = threading.Event()
        session.work = lambda: goes_on.wait(20)
        signals.connect_sigterm(session, grace=20.0)
        _raise()

        assert [signal.SIGTERM] == previous
        assert [] == session.calls
        goes_on.set()
        assert session.called.wait(20)

    def test_a_session_that_fails_in_a_greenlet(
        self, hub, previous, session, caplog
    ) -> None:
        """It is logged as anywhere else."""

        def fail():
            raise SystemExit(1)

        session.work = fail
        signals.connect_exit(session, grace=20.0)
        signals.terminate()

        assert ["a session could not flush at shutdown"] == caplog.messages

    def test_the_default_action_follows_the_flush(
        self, hub, session, monkeypatch
    ) -> None:
        """The greenlet ends the process by the signal."""
        ended = threading.Event()
        monkeypatch.setattr(hub, "kill", ended.set)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.connect_sigterm(session, grace=20.0)
        _raise()

        assert ended.wait(20)
        assert ["terminate", "close"] == [what for what, _ in session.calls]


def _raise() -> None:
    signal.raise_signal(signal.SIGTERM)
