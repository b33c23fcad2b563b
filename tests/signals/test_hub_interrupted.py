"""Further signals, other threads, exceptions and failing sessions during a flush."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading

import pytest

from serverless_flags import signals
from serverless_flags._signals import handler as handler_module
from serverless_flags._signals import hub as hub_module


class Interruption(BaseException):
    """An exception raised by other code in the interrupted thread."""


@pytest.fixture(name="killed")
def _killed(monkeypatch):
    """Return the signals that this process has sent to itself."""
    sent = []
    monkeypatch.setattr(os, "kill", lambda _pid, signum: sent.append(signum))
    return sent


class TestSessionsThatComeAndGo:
    def test_sessions_are_connected_during_a_flush(self, hub, new_session) -> None:
        """SIGTERM may arrive while another thread makes a session for each request."""
        kept = [new_session() for _ in range(50)]
        for session in kept:
            signals.connect_exit(session, grace=20.0)
        interval, ends = sys.getswitchinterval(), threading.Event()

        def connect() -> None:
            while not ends.is_set():
                signals.connect_exit(new_session(), grace=20.0)

        thread = threading.Thread(target=connect)
        sys.setswitchinterval(1e-5)
        try:
            thread.start()
            for _ in range(20):
                signals.terminate()
        finally:
            ends.set()
            sys.setswitchinterval(interval)
            thread.join(60)

        assert [20] * 50 == [len(session.calls) for session in kept]

    def test_a_session_connected_by_another_one_is_kept(self, hub, new_session) -> None:
        """A session may be made while one is flushed, or in a signal handler."""
        first, second = new_session(), new_session()
        first.work = lambda: signals.connect_exit(second, grace=1.0)
        signals.connect_exit(first, grace=20.0)
        signals.terminate()

        assert [(first, 20.0), (second, 1.0)] == hub.sessions

    def test_one_connected_twice_has_the_last_grace(self, hub, session) -> None:
        """It is notified once."""
        signals.connect_exit(session, grace=1.0)
        signals.connect_exit(session, grace=2.0)
        gc.collect()
        signals.terminate()

        assert [("terminate", 2.0)] == session.calls


class TestFailures:
    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
    def test_a_session_that_fails_never_stops_the_next(
        self, hub, new_session, caplog, error
    ) -> None:
        """The others flush; the failure is logged after that."""

        def fail():
            raise error

        failing, other = new_session(), new_session()
        failing.work = fail
        for session in (failing, other):
            signals.connect_exit(session, grace=20.0)
        signals.terminate()

        assert [("terminate", 20.0)] == other.calls
        assert ["a session could not flush at shutdown"] == caplog.messages
        assert caplog.records[0].exc_info[1] is error

    def test_nor_on_the_thread_that_exits(
        self, hub, new_session, caplog, no_threads
    ) -> None:
        """Where no thread can be started they are notified one after the other."""

        def fail():
            raise ValueError("no")

        failing, other = new_session(), new_session()
        failing.work = fail
        for session in (failing, other):
            signals.connect_exit(session, grace=20.0)
        hub.close_at_exit()

        assert ["close"] == [what for what, _ in other.calls]
        assert [logging.WARNING] == [record.levelno for record in caplog.records]

    def test_an_exception_for_this_thread_propagates_after_the_last(
        self, hub, new_session, no_threads
    ) -> None:
        """It is not a session's exception, and it is not lost."""

        def interrupt():
            raise Interruption

        interrupted, other = new_session(), new_session()
        interrupted.work = interrupt
        for session in (interrupted, other):
            signals.connect_exit(session, grace=20.0)
        with pytest.raises(Interruption):
            signals.terminate()

        assert ["terminate"] == [what for what, _ in other.calls]

    @pytest.mark.parametrize("error", [RuntimeError("no"), Interruption()])
    def test_the_previous_handler_is_called_whatever_is_raised(
        self, hub, previous, session, monkeypatch, error
    ) -> None:
        """The process continues as it would have without the session."""

        def fail(*_given):
            raise error

        monkeypatch.setattr(hub_module, "run_in_parallel", fail)
        signals.connect_sigterm(session, grace=1.0)
        with pytest.raises(type(error)):
            signal.raise_signal(signal.SIGTERM)

        assert [signal.SIGTERM] == previous

    def test_the_default_action_follows_whatever_is_raised(
        self, hub, session, monkeypatch, killed
    ) -> None:
        """The signal ends the process."""

        def interrupt(*_given):
            raise Interruption

        monkeypatch.setattr(hub_module, "run_in_parallel", interrupt)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.connect_sigterm(session, grace=1.0)
        with pytest.raises(Interruption):
            signal.raise_signal(signal.SIGTERM)

        assert [signal.SIGTERM] == killed


@pytest.fixture(name="here")
def _here(monkeypatch):
    """Run thread functions on the calling thread, where signals interrupt them."""

    def run(works, _deadline):
        for function, seconds in works:
            function(seconds)
        return []

    monkeypatch.setattr(hub_module, "run_in_parallel", run)


class TestTwice:
    def test_a_second_signal_during_the_flush(
        self, hub, previous, session, here
    ) -> None:
        """The previous handler is called for each; later counts are flushed too."""
        again = [True]
        session.work = lambda: again and again.pop() and _raise()
        signals.connect_sigterm(session, grace=1.0)
        _raise()

        assert [signal.SIGTERM] * 2 == previous
        assert ["terminate"] * 2 == [what for what, _ in session.calls]

    def test_the_second_one_does_not_cut_the_flush_off(
        self, hub, session, here, killed
    ) -> None:
        """Where the default action follows, it follows the flush."""
        again = [True]
        seen = []

        def work():
            if again:
                again.pop()
                _raise()
                seen.append(list(killed))

        session.work = work
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.connect_sigterm(session, grace=1.0)
        _raise()

        assert [[]] == seen
        assert ["terminate", "close"] == [what for what, _ in session.calls]
        assert [signal.SIGTERM] == killed

    def test_a_previous_handler_that_raises(self, hub, session, here) -> None:
        """Its exception propagates, and the next signal is handled."""

        def leave(*_received):
            raise SystemExit(3)

        signal.signal(signal.SIGTERM, leave)
        signals.connect_sigterm(session, grace=1.0)
        for _ in range(2):
            with pytest.raises(SystemExit):
                _raise()

        assert ["terminate"] * 2 == [what for what, _ in session.calls]


def _raise() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_a_handler_is_complete_before_it_is_installed(
    hub, previous, session, monkeypatch
) -> None:
    """The signal may arrive before any further line runs."""
    install = signal.signal

    def install_and_raise(signum, handler):
        before = install(signum, handler)
        _raise()
        return before

    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", install_and_raise)
        signals.connect_sigterm(session, grace=1.0)

    assert [signal.SIGTERM] == previous
    assert ["terminate"] == [what for what, _ in session.calls]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_installation_is_repeated(
    hub, previous, session, monkeypatch, when
) -> None:
    """Whether the handler is installed is asked of Python, not remembered."""
    install = signal.signal

    def interrupt(signum, handler):
        if when == "after":
            install(signum, handler)
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", interrupt)
        with pytest.raises(Interruption):
            signals.connect_sigterm(session, grace=1.0)

    assert signals.connect_sigterm(session, grace=1.0)
    _raise()
    assert [signal.SIGTERM] == previous
    assert ["terminate"] == [what for what, _ in session.calls]


def test_the_kill_restores_the_default_action(hub, monkeypatch, killed) -> None:
    """Otherwise the handler would be called again, for ever."""
    hub.kill()

    assert [signal.SIGTERM] == killed
    assert handler_module.SIG_DFL == signal.getsignal(signal.SIGTERM)
