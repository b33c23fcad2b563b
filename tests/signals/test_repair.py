"""Other code replaces the SIGTERM handler, and the session reinstalls its own."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from serverless_flags import signals
from serverless_flags._signals import handler as handler_module


@pytest.fixture(name="take")
def _take():
    """
    Return a function that installs a handler that records signals.

    ``calls`` says whether it calls the handler that it replaces.
    """

    def take(received, name="theirs", calls=None):
        def theirs(signum, frame):
            received.append(name)
            if calls is not None:
                calls(signum, frame)

        signal.signal(signal.SIGTERM, theirs)

    return take


def _raise() -> None:
    signal.raise_signal(signal.SIGTERM)


async def _handle_sigterm() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: None)


class TestWhatIsPutBack:
    def test_nothing_is_done_where_nothing_was_installed(self, hub, session) -> None:
        """On a platform with other shutdown signals `repair` changes nothing."""
        before = signal.getsignal(signal.SIGTERM)
        signals.connect_exit(session, grace=1.0)

        assert signals.repair()
        assert hub.repair()
        assert signals.is_connected()
        assert before is signal.getsignal(signal.SIGTERM)

    def test_a_loop_that_handled_sigterm(self, hub, previous, session) -> None:
        """asyncio restores the default action, not the handler that it replaced."""
        signals.connect_sigterm(session, grace=1.0)
        asyncio.run(_handle_sigterm())
        assert signal.SIG_DFL == signal.getsignal(signal.SIGTERM)
        assert not signals.is_connected()

        assert signals.repair()
        assert signals.is_connected()
        assert signal.SIG_DFL == signals.previous_handler()

    def test_a_loop_that_handled_sigterm_replaced_the_wakeup_fd(
        self, hub, previous, session
    ) -> None:
        """After the repair the watcher receives the signal again."""
        signals.watch_sigterm(session, grace=1.0)
        asyncio.run(_handle_sigterm())
        signal.signal(signal.SIGTERM, lambda *_: None)

        assert signals.repair()
        sender = hub.watcher.sockets[1].fileno()
        assert sender == signal.set_wakeup_fd(-1)

    def test_without_a_replacement_nothing_is_changed(
        self, hub, previous, session
    ) -> None:
        """The usual case, at the end of each invocation."""
        signals.connect_sigterm(session, grace=1.0)
        own_handler = signal.getsignal(signal.SIGTERM)

        assert signals.repair()
        assert own_handler is signal.getsignal(signal.SIGTERM)

    def test_other_code_may_restore_the_handler(
        self, hub, previous, session, take
    ) -> None:
        """A library replaces the handler for a while and restores it."""
        signals.connect_sigterm(session, grace=1.0)
        own_handler = signal.getsignal(signal.SIGTERM)
        take([])
        assert signals.repair()
        signal.signal(signal.SIGTERM, own_handler)

        assert signals.repair()
        _raise()
        assert [signal.SIGTERM] == previous
        assert ["terminate"] == [what for what, _ in session.calls]


class TestOtherHandlers:
    def test_one_that_does_not_call_the_sessions(
        self, hub, previous, session, take
    ) -> None:
        """The session's handler calls it: the flush comes first, then its work."""
        received = []
        signals.connect_sigterm(session, grace=1.0)
        take(received)
        assert not signals.is_connected()

        assert signals.repair()
        _raise()
        assert ["terminate"] == [what for what, _ in session.calls]
        assert ["theirs"] == received
        assert [] == previous

    def test_one_that_calls_the_sessions(self, hub, previous, session, take) -> None:
        """Each is called once, in the order in which they were installed."""
        received = []
        signals.connect_sigterm(session, grace=1.0)
        take(received, calls=signal.getsignal(signal.SIGTERM))
        assert signals.repair()
        _raise()

        assert ["theirs"] == received
        assert [signal.SIGTERM] == previous
        assert session.calls

    def test_one_that_installs_itself_again(self, hub, previous, session) -> None:
        """It is left in place, and the handlers that it calls are called once."""
        received, saved = [], []

        def theirs(signum, frame):
            received.append(signum)
            saved[-1](signum, frame)

        signals.connect_sigterm(session, grace=1.0)
        for _ in range(2):
            saved.append(signal.signal(signal.SIGTERM, theirs))
            answer = signals.repair()

        assert not answer
        assert not signals.is_connected()
        assert theirs is signal.getsignal(signal.SIGTERM)
        _raise()
        assert [signal.SIGTERM] * 2 == received
        assert [signal.SIGTERM] == previous
        assert session.calls

    def test_replacements_are_bounded(self, hub, previous, session, take) -> None:
        """A program that replaces it again and again keeps its own in the end."""
        signals.connect_sigterm(session, grace=1.0)
        answers = []
        for _ in range(handler_module.MAX_REPLACED + 1):
            take([])
            answers.append(signals.repair())

        assert [True] * (handler_module.MAX_REPLACED - 1) + [False] * 2 == answers

    def test_with_a_watcher_any_handler_may_be_installed(
        self, hub, session, previous
    ) -> None:
        """The wakeup fd receives the signal, whichever handler is installed."""
        signals.watch_sigterm(session, grace=1.0)
        signal.signal(signal.SIGTERM, lambda *_: None)

        assert signals.is_connected()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert not signals.is_connected()

    def test_off_the_main_thread_nothing_can_be_reinstalled(
        self, hub, previous, session, take
    ) -> None:
        """The status says so, and each invocation flushes."""
        signals.watch_sigterm(session, grace=1.0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(signals.repair()))
        thread.start()
        thread.join(20)

        assert [False] == answers
        assert signal.SIG_DFL == signal.getsignal(signal.SIGTERM)
        assert -1 == signal.set_wakeup_fd(-1)

    def test_a_server_that_ignores_handlers(self, hub, session, monkeypatch) -> None:
        """mod_wsgi ignores the call, without an error."""
        monkeypatch.setattr(signal, "signal", lambda *_: None)

        assert not signals.connect_sigterm(session, grace=1.0)
        assert signals.repair()
        monkeypatch.undo()


class TestThePreviousHandler:
    def test_before_anything_is_connected(self, hub, previous) -> None:
        """It is the current handler."""
        assert signal.getsignal(signal.SIGTERM) is signals.previous_handler()

    def test_behind_the_sessions(self, hub, previous, session) -> None:
        """Adapters find a server's method by it."""
        theirs = signal.getsignal(signal.SIGTERM)
        signals.connect_sigterm(session, grace=1.0)

        assert theirs is signals.previous_handler()


class TestTheWatcher:
    def test_no_thread_no_sockets(self, hub, previous, session, monkeypatch) -> None:
        """Where its thread cannot be started nothing is left open."""

        def start(_thread):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError):
                signals.watch_sigterm(session, grace=1.0)

        assert hub.watcher is None
        assert -1 == signal.set_wakeup_fd(-1)
        _raise()
        assert ["terminate"] == [what for what, _ in session.calls]

    def test_the_wakeup_fd_of_other_code_stays_in_a_fork(
        self, hub, previous, session
    ) -> None:
        """In a child of a process whose event loop has set it."""
        import socket

        signals.watch_sigterm(session, grace=1.0)
        watcher, sockets = hub.watcher, hub.watcher.sockets
        watcher.sockets = [end.dup() for end in sockets]
        reader, writer = socket.socketpair()
        with reader, writer:
            writer.setblocking(False)
            signal.set_wakeup_fd(writer.fileno())
            hub.forget()
            hub.watcher, watcher.sockets = watcher, sockets

            assert writer.fileno() == signal.set_wakeup_fd(-1)

    def test_without_its_sockets_the_handler_flushes(
        self, hub, previous, session
    ) -> None:
        """Other code has closed unknown descriptors."""
        threads = set(threading.enumerate())
        signals.watch_sigterm(session, grace=1.0)
        (watcher,) = set(threading.enumerate()) - threads
        signal.set_wakeup_fd(-1)
        hub.watcher.sockets[1].close()
        watcher.join(20)
        signals.rearm()
        _raise()

        assert [signal.SIGTERM] == previous
        assert ["terminate"] == [what for what, _ in session.calls]
        assert -1 == signal.set_wakeup_fd(-1)
