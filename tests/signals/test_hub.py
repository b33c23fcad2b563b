"""The hub of one process, tested without ending a process."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import threading

import pytest

from serverless_flags import signals
from serverless_flags._signals import hub as hub_module


class TestConnecting:
    def test_connecting_the_exit_installs_no_handler(self, hub, session) -> None:
        """Where the process ends in order, no signal handler is needed."""
        before = signal.getsignal(signal.SIGTERM)
        signals.connect_exit(session, grace=2.0)

        assert before is signal.getsignal(signal.SIGTERM)
        assert [(session, 2.0)] == hub.sessions

    def test_one_handler_serves_all_sessions(self, hub, previous, new_session) -> None:
        """Connecting twice, or two sessions, chains the previous handler once."""
        sessions = [new_session(), new_session()]
        for session in sessions * 2:
            assert signals.connect_sigterm(session, grace=1.0)
        signal.raise_signal(signal.SIGTERM)

        assert [signal.SIGTERM] == previous
        assert [[("terminate", 1.0)]] * 2 == [session.calls for session in sessions]

    @pytest.mark.parametrize("connect", ["connect_sigterm", "watch_sigterm"])
    def test_off_the_main_thread_nothing_is_installed(
        self, hub, session, connect
    ) -> None:
        """Python allows it on the main thread only; the exit is still connected."""
        before = signal.getsignal(signal.SIGTERM)
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(getattr(signals, connect)(session, grace=1.0))
        )
        thread.start()
        thread.join(20)

        assert [False] == answers
        assert before is signal.getsignal(signal.SIGTERM)
        assert [(session, 1.0)] == hub.sessions
        assert hub.watcher is None

    def test_a_handler_installed_from_c_stays(self, hub, session, monkeypatch) -> None:
        """Python could not call it after the flush, so it is not replaced."""
        installed = []
        monkeypatch.setattr(hub_module, "current_handler", lambda _: None)
        monkeypatch.setattr(signal, "signal", lambda *given: installed.append(given))

        assert not signals.connect_sigterm(session, grace=1.0)
        assert not signals.watch_sigterm(session, grace=1.0)
        assert [] == installed
        monkeypatch.undo()

    def test_a_session_is_held_weakly(self, hub, new_session) -> None:
        """A session that your code has dropped is not notified."""
        signals.connect_exit(new_session(), grace=1.0)
        gc.collect()

        assert [] == hub.sessions
        signals.terminate()

    def test_the_hooks_are_registered_once(self, hub, session, monkeypatch) -> None:
        """`atexit` and `os.register_at_fork` functions cannot be removed."""
        hooks = []
        monkeypatch.setattr(signals, "_hooked", False)
        monkeypatch.setattr(atexit, "register", hooks.append)
        monkeypatch.setattr(os, "register_at_fork", lambda **given: hooks.append(given))
        for _ in range(3):
            signals.connect_exit(session, grace=1.0)
        at_exit, at_fork = hooks
        at_exit()

        assert "close" == session.calls[0][0]
        assert {"after_in_child": signals._after_fork} == at_fork

    def test_a_system_without_fork_is_hooked_too(
        self, hub, session, monkeypatch
    ) -> None:
        """Windows has no fork, and no hook for it."""
        hooks = []
        monkeypatch.setattr(signals, "_hooked", False)
        monkeypatch.setattr(atexit, "register", hooks.append)
        monkeypatch.delattr(os, "register_at_fork")
        signals.connect_exit(session, grace=1.0)

        assert 1 == len(hooks)


class TestTheEnd:
    def test_the_default_action_follows(self, hub, session, monkeypatch) -> None:
        """The signal ends the process, as it would have without the session."""
        killed = []
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        monkeypatch.setattr(os, "kill", lambda *given: killed.append(given))
        signals.connect_sigterm(session, grace=1.0)
        signal.raise_signal(signal.SIGTERM)

        assert ["terminate", "close"] == [what for what, _ in session.calls]
        assert 1.0 == session.calls[0][1] >= session.calls[1][1]
        assert [(os.getpid(), signal.SIGTERM)] == killed
        assert signal.SIG_DFL == signal.getsignal(signal.SIGTERM)

    def test_an_ignored_signal_stays_ignored(self, hub, session) -> None:
        """The process continues after its counts were sent."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signals.connect_sigterm(session, grace=1.0)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

        assert [("terminate", 1.0)] * 2 == session.calls

    def test_sessions_end_in_parallel(self, hub, new_session) -> None:
        """Each on its own thread, within the longest grace."""
        both = threading.Barrier(2)
        sessions = [new_session(), new_session()]
        for session, grace in zip(sessions, (15.0, 20.0), strict=True):
            session.work = lambda: both.wait(20)
            signals.connect_exit(session, grace=grace)
        signals.terminate()

        assert [("terminate", 15.0)] == sessions[0].calls
        assert [("terminate", 20.0)] == sessions[1].calls
        signals.close()
        assert ("close", 20.0) == sessions[1].calls[1]

    def test_a_child_has_time_to_close(self, hub, new_session, monkeypatch) -> None:
        """The grace of the platform does not apply to a child forked by a function."""
        hasty, patient = new_session(), new_session()
        signals.connect_exit(hasty, grace=0.3)
        signals.connect_exit(patient, grace=15.0)
        signals.close_child()
        hub.close_at_exit()
        monkeypatch.setattr(hub_module, "is_forked_by_invocation", lambda: True)
        hub.close_at_exit()

        assert [("close", s) for s in (2.0, 0.3, 2.0)] == hasty.calls
        assert [("close", 15.0)] * 3 == patient.calls

    def test_a_session_that_hangs_is_not_waited_for(self, hub, new_session) -> None:
        """The process ends after the grace; the other session has flushed."""
        free = threading.Event()
        hanging, other = new_session(), new_session()
        hanging.work = lambda: free.wait(20)
        signals.connect_exit(hanging, grace=0.1)
        signals.connect_exit(other, grace=0.1)
        signals.terminate()

        assert [] == hanging.calls
        assert other.called.wait(20)
        free.set()
        assert hanging.called.wait(20)

    def test_without_threads_the_caller_flushes(self, hub, session, no_threads) -> None:
        """Where no thread can be started, the calling thread flushes."""
        threads = []
        session.work = lambda: threads.append(threading.get_ident())
        signals.connect_exit(session, grace=1.0)
        signals.terminate()

        assert [threading.get_ident()] == threads

    def test_without_sessions_there_is_no_wait(self, hub) -> None:
        """An end without sessions returns at once."""
        signals.terminate()
        signals.close()
        hub.close_at_exit()

    def test_at_exit_sessions_share_one_grace(self, hub, new_session, no_threads):
        """One after the other where no thread can be started, as since Python 3.12."""
        sessions = [new_session(), new_session()]
        threads = []
        for session in sessions:
            session.work = lambda: threads.append(threading.get_ident())
            signals.connect_exit(session, grace=5.0)
        hub.close_at_exit()
        first, second = (session.calls[0][1] for session in sessions)

        assert 5.0 >= first >= second
        assert [threading.get_ident()] * 2 == threads
