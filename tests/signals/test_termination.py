"""When the termination signals are connected, and what the status says of them."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from serverless_flags import FlagSession, Platform, hookimpl, signals
from serverless_flags._process.termination import TerminationSignals
from serverless_flags.platform import Local


class Interruption(BaseException):
    """An exception that other code raises during a connect."""


class Plugins:
    """The one hook that connects: it calls ``connects`` and returns its result."""

    session = None

    def __init__(self, platform=None, connects=lambda: (False, "")):
        self.platform = platform or Local()
        self.connects = connects
        self.moments = []

    def connect_instance(self, at):
        self.moments.append(at)
        return self.connects()


class Cloud(Platform):
    """A platform whose signals an adapter connects."""


@pytest.fixture(name="connection")
def _connection(hub, session, monkeypatch):
    monkeypatch.setattr(Plugins, "session", session)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return TerminationSignals()


class TestLocal:
    def test_sigterm_is_connected(self, hub, connection, session) -> None:
        """Any other end runs the ``atexit`` functions."""
        connection.connect(Plugins(), "wrap")

        assert "connected" == connection.termination
        assert connection.will_be_notified
        assert signals.previous_handler() == signal.SIG_DFL
        assert [(session, 2.0)] == hub.sessions

    def test_off_the_main_thread_it_is_not(self, connection, session) -> None:
        """The status says so, with the cure; each invocation flushes."""
        thread = threading.Thread(target=connection.connect, args=(Plugins(), "wrap"))
        thread.start()
        thread.join(20)

        assert not connection.will_be_notified
        assert "wrap the function while its module is imp" in connection.termination

    def test_on_the_main_thread_it_is_connected_later(
        self, connection, session
    ) -> None:
        """One connect point that connects is enough, in either order."""
        thread = threading.Thread(target=connection.connect, args=(Plugins(), "wrap"))
        thread.start()
        thread.join(20)
        connection.connect(Plugins(), "first_invocation")

        assert "connected" == connection.termination

    def test_a_loop_took_it(self, connection, session) -> None:
        """The end of an invocation reinstalls the handler; the status is true."""
        connection.connect(Plugins(), "wrap")

        async def handle() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)

        asyncio.run(handle())
        assert connection.termination.startswith("not connected: SIGTERM was taken")
        assert not connection.will_be_notified
        assert not connection.repair()
        assert "connected" == connection.termination

    def test_a_handler_that_cannot_be_replaced(self, connection, session) -> None:
        """The interval changes once, and again when the handler is restored."""
        connection.connect(Plugins(), "wrap")
        own_handler = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *_: None)
        answers = []

        def ask() -> None:
            answers.extend([connection.repair(), connection.repair()])

        thread = threading.Thread(target=ask)  # where nothing can be installed
        thread.start()
        thread.join(20)
        assert not connection.will_be_notified
        signal.signal(signal.SIGTERM, own_handler)

        assert [True, False] == answers
        assert connection.repair()
        assert connection.will_be_notified


class TestPlatforms:
    def test_before_any_connect_point(self) -> None:
        """The hook has not been called."""
        connection = TerminationSignals()

        assert connection.termination.startswith("not connected yet")
        assert not connection.will_be_notified
        assert not connection.repair()

    def test_an_adapter_without_a_signal(self, connection, session) -> None:
        """No handler is installed instead."""
        before = signal.getsignal(signal.SIGTERM)
        connection.connect(Plugins(Cloud()), "wrap")

        expected = "not connected: the platform sends no shutdown signal here"
        assert expected == connection.termination
        assert before == signal.getsignal(signal.SIGTERM)

    def test_an_adapter_with_signals_of_its_own(self, connection, session) -> None:
        """The session does not handle SIGTERM."""
        plugins = Plugins(Cloud(), lambda: (True, ""))
        connection.connect(plugins, "wrap")

        assert "connected" == connection.termination
        assert not connection.repair()

    def test_each_connect_point_is_used_once(self, connection, session) -> None:
        """A reason that a later connect point does not repeat is kept."""
        answers = [(False, "wrapped too late"), (False, "")]
        plugins = Plugins(Cloud(), lambda: answers.pop(0))
        for at in ("wrap", "first_invocation") * 2:
            connection.connect(plugins, at)

        assert ["wrap", "first_invocation"] == plugins.moments
        assert "not connected: wrapped too late" == connection.termination


class TestReentrancy:
    def test_a_plugin_that_evaluates_does_not_wait_for_itself(
        self, connection, session
    ) -> None:
        """Evaluating a flag connects; the connecting thread is recognised."""
        threads = []

        def connects():
            threads.append(connection.is_connecting(threading.get_ident()))
            connection.connect(plugins, "wrap")
            return True, ""

        plugins = Plugins(Cloud(), connects)
        connection.connect(plugins, "wrap")

        assert [True] == threads
        assert ["wrap"] == plugins.moments
        assert not connection.is_connecting(threading.get_ident())

    def test_a_second_thread_waits_for_the_first(self, connection, session) -> None:
        """It finds the signals connected."""
        entered, goes_on = threading.Event(), threading.Event()

        def connects():
            entered.set()
            goes_on.wait(20)
            return True, ""

        plugins = Plugins(Cloud(), connects)
        threads = [
            threading.Thread(target=connection.connect, args=(plugins, "wrap"))
            for _ in range(2)
        ]
        threads[0].start()
        assert entered.wait(20)
        threads[1].start()
        goes_on.set()
        for thread in threads:
            thread.join(20)

        assert ["wrap"] == plugins.moments
        assert connection.will_be_notified

    def test_an_interruption_at_the_end_leaves_no_thread_connecting(
        self, connection, session
    ) -> None:
        """However late it comes: the thread would never wait for a start again."""

        class Moments(set):
            def add(self, at):
                raise Interruption

        connection.connect_points = Moments()
        with pytest.raises(Interruption):
            connection.connect(Plugins(), "wrap")

        assert not connection.is_connecting(threading.get_ident())

    @pytest.mark.parametrize("error", [ValueError, Interruption])
    def test_an_interrupted_connect_is_repeated(
        self, connection, session, error
    ) -> None:
        """After any exception, at the next connect point; other threads do not hang."""
        errors = [error]

        def connects():
            if errors:
                raise errors.pop()
            return True, ""

        plugins = Plugins(Cloud(), connects)
        with pytest.raises(error):
            connection.connect(plugins, "wrap")
        assert not connection.is_connecting(threading.get_ident())
        thread = threading.Thread(target=connection.connect, args=(plugins, "wrap"))
        thread.start()
        thread.join(20)

        assert ["wrap", "wrap"] == plugins.moments
        assert "connected" == connection.termination


def test_a_plugin_that_evaluates_a_flag_while_connecting(hub) -> None:
    """In a real session the plugin gets an answer, and the process continues."""
    answers = []

    class Asks:
        @hookimpl
        def connect_instance(self, session) -> None:
            answers.append(session.is_enabled("a"))

    flags = FlagSession(platform="local", client="memory", plugins=[Asks()])
    thread = threading.Thread(target=flags.wrap(lambda: None), daemon=True)
    thread.start()
    thread.join(20)

    assert not thread.is_alive()
    assert answers
    flags.close()
