"""The watcher of one process, and what a forked child inherits of its hub."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import threading
import time

from serverless_flags import signals


class TestWatching:
    def test_the_watcher_flushes_and_ends_the_process(
        self, hub, session, exits
    ) -> None:
        """Where no other code handles SIGTERM, and the main thread may be stuck."""
        codes, ended = exits
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        assert signals.watch_sigterm(session, grace=1.0)
        signal.raise_signal(signal.SIGTERM)

        assert ended.wait(20)
        assert 0 == codes[0]
        assert ["terminate", "close"] == [what for what, _ in session.calls[:2]]

    def test_another_handler_decides_about_the_end(
        self, hub, session, previous, exits
    ) -> None:
        """It is called on the main thread, as it was before."""
        codes, _ = exits
        signals.watch_sigterm(session, grace=1.0)
        signal.raise_signal(signal.SIGTERM)

        assert session.called.wait(20)
        assert [signal.SIGTERM] == previous
        assert [] == codes

    def test_a_handler_installed_later_decides_about_the_end(
        self, hub, session, exits
    ) -> None:
        """The watcher flushes; the handler that replaced the session's decides."""
        codes, _ = exits
        received = []
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.watch_sigterm(session, grace=1.0)
        signal.signal(signal.SIGTERM, lambda signum, _: received.append(signum))
        signal.raise_signal(signal.SIGTERM)

        assert session.called.wait(20)
        assert [signal.SIGTERM] == received
        assert [] == codes

    def test_one_watcher_serves_all_sessions(self, hub, previous, new_session) -> None:
        """The second session finds the thread and the sockets."""
        one, two = new_session(), new_session()
        signals.watch_sigterm(one, grace=1.0)
        sockets, threads = hub.watcher.sockets, threading.active_count()
        signals.watch_sigterm(two, grace=1.0)

        assert sockets is hub.watcher.sockets
        assert threads == threading.active_count()
        signal.raise_signal(signal.SIGTERM)
        assert one.called.wait(20)
        assert two.called.wait(20)

    def test_other_signals_do_nothing(self, hub, previous, session) -> None:
        """The wakeup fd receives all signals."""
        before = signal.signal(signal.SIGUSR1, lambda *_: None)
        try:
            signals.watch_sigterm(session, grace=1.0)
            signal.raise_signal(signal.SIGUSR1)
            while select.select([hub.watcher.sockets[0]], [], [], 0)[0]:
                time.sleep(0)  # until the watcher has read it
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert [] == session.calls
        signal.raise_signal(signal.SIGTERM)

        assert session.called.wait(20)

    def test_a_wakeup_fd_that_was_replaced(self, hub, previous, session) -> None:
        """While Python runs, the handler wakes the watcher instead."""
        signals.watch_sigterm(session, grace=1.0)
        assert hub.watcher.sockets[1].fileno() == signal.set_wakeup_fd(-1)
        signal.raise_signal(signal.SIGTERM)

        assert session.called.wait(20)

    def test_rearming_sets_it_again(self, hub, previous, session) -> None:
        """At each invocation, on the main thread only."""
        signals.rearm()  # nothing to watch yet
        signals.watch_sigterm(session, grace=1.0)
        signal.set_wakeup_fd(-1)
        thread = threading.Thread(target=signals.rearm)
        thread.start()
        thread.join(20)
        assert -1 == signal.set_wakeup_fd(-1)
        signals.rearm()

        assert hub.watcher.sockets[1].fileno() == signal.set_wakeup_fd(-1)

    def test_a_full_pipe_does_not_stop_the_handler(
        self, hub, previous, session, monkeypatch
    ) -> None:
        """The watcher has enough to read; the previous handler is called."""
        signals.watch_sigterm(session, grace=1.0)
        receiver, sender = socket.socketpair()
        watched, hub.watcher.sockets = hub.watcher.sockets, (receiver, sender)
        sender.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.send(bytes(65536))
        signal.raise_signal(signal.SIGTERM)
        hub.watcher.sockets = watched
        receiver.close()
        sender.close()

        assert [signal.SIGTERM] == previous

    def test_a_watcher_whose_sockets_are_closed_ends(self, hub, session, exits) -> None:
        """A daemon that closes unknown descriptors must not make it spin."""
        codes, _ = exits
        threads = set(threading.enumerate())
        signals.watch_sigterm(session, grace=1.0)
        (watcher,) = set(threading.enumerate()) - threads
        signal.set_wakeup_fd(-1)
        hub.watcher.sockets[1].close()
        watcher.join(20)

        assert not watcher.is_alive()
        assert [] == codes == session.calls


class TestForking:
    def test_a_child_has_its_own_hub(self, hub, previous, session) -> None:
        """It has no session, and the previous SIGTERM handler."""
        handler = signal.getsignal(signal.SIGTERM)
        signals.watch_sigterm(session, grace=1.0)
        watcher, sockets = hub.watcher, hub.watcher.sockets
        watcher.sockets = copies = [end.dup() for end in sockets]  # as a fork has them
        signals.rearm()
        signals._after_fork()
        hub.watcher, watcher.sockets = watcher, sockets

        assert signals._hub is not hub
        assert [] == signals._hub.sessions
        assert handler is signal.getsignal(signal.SIGTERM)
        assert -1 == signal.set_wakeup_fd(-1)
        assert [-1, -1] == [copy.fileno() for copy in copies]

    def test_a_handler_installed_later_stays_in_a_child(self, hub, session) -> None:
        """A handler that replaced the session's is not removed."""
        signals.connect_sigterm(session, grace=1.0)

        def theirs(*_received) -> None: ...

        signal.signal(signal.SIGTERM, theirs)
        signals._after_fork()

        assert theirs is signal.getsignal(signal.SIGTERM)

    def test_a_hub_that_installed_nothing_changes_nothing(self, hub, session) -> None:
        """Neither a signal nor a wakeup fd is touched."""
        handler = signal.getsignal(signal.SIGTERM)
        signals.connect_exit(session, grace=1.0)
        signals._after_fork()

        assert handler is signal.getsignal(signal.SIGTERM)
