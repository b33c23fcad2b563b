"""A flag evaluated on a thread that the start waits for has its default, at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import State, hookimpl
from serverless_flags._process import start as start_module
from serverless_flags._protocols import DISABLED, Backend
from serverless_flags.clients.memory import MemoryClient

WAIT = 20.0
"""Seconds; a bound against hanging only."""


class TestInASignalHandler:
    """A signal handler runs on the main thread, whatever it interrupts there."""

    @pytest.fixture(name="nested")
    def _nested(self, make, server, interrupt):
        """Return what a signal handler gets while its thread waits for the start."""

        def nested(question):
            def ring() -> None:
                saw.append(question(flags))
                server.answers.set()  # not before: the start could not end without it

            saw = []
            server.answers.clear()
            flags = make()
            handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
            interrupt(ring, server.arrived.acquire)
            answer = handler()
            return saw[0], answer, flags.status.uncounted

        return nested

    def test_whether_a_flag_is_on(self, nested) -> None:
        """It is False and uncounted; the start continues and loads the flags."""
        assert (False, True, 1) == nested(lambda flags: flags.is_enabled("simpleFlag"))

    def test_which_variant(self, nested) -> None:
        """It is the disabled variant."""
        saw, answer, uncounted = nested(lambda flags: flags.get_variant("simpleFlag"))

        assert (DISABLED, True, 1) == (saw, answer, uncounted)

    def test_inside_an_invocation_of_its_own(self, nested) -> None:
        """It joins the invocation that is beginning."""

        def question(flags) -> bool:
            with flags.invocation():
                return flags.is_enabled("simpleFlag")

        assert (False, True, 1) == nested(question)

    def test_a_start_or_a_refresh(self, nested) -> None:
        """They return at once too."""

        def question(flags) -> bool:
            flags.start()
            return flags.status.state is State.STARTING

        assert (True, True, 0) == nested(question)

    def test_a_flush(self, nested) -> None:
        """There is nothing to send yet."""
        assert (True, True, 0) == nested(lambda flags: flags.flush())


def test_in_a_plugin_that_connects_the_signals(make, server, cloud, within_time):
    """The start begins after the signals are connected."""
    saw = []

    class Asking(cloud):
        @hookimpl
        def connect_instance(self, at: str) -> bool:
            saw.append((at, flags.is_enabled("simpleFlag")))
            return True

    flags = make(Asking())
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert within_time(handler) is True
    assert [("wrap", False), ("first_invocation", False)] == saw
    assert 2 == flags.status.uncounted


def test_in_the_loading_of_the_client(make, monkeypatch, within_time):
    """A module that the client imports may evaluate a flag."""
    saw = []

    def load() -> MemoryClient:
        saw.append((flags.is_enabled("simpleFlag"), flags.get_variant("simpleFlag")))
        flags.start()
        return MemoryClient({"simpleFlag": True})

    monkeypatch.setattr(start_module, "open_backend", lambda *_args: Backend(load))
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert within_time(handler) is True
    assert [(False, DISABLED)] == saw
    assert 2 == flags.status.uncounted


def test_in_an_observer_once_the_flags_are_there(make, cloud, until):
    """An observer may evaluate a flag on the thread of a later refresh."""
    saw = []

    class Asking(cloud):
        asks = False

        def ask(self, outcome: str) -> None:
            if self.asks:
                saw.append((outcome, flags.is_enabled("simpleFlag")))

        @hookimpl
        def after_refresh(self, outcome: str) -> None:
            self.ask(outcome)

        @hookimpl
        def after_flush(self, outcome: str) -> None:
            self.ask(outcome)

    platform = Asking()
    flags = make(platform, max_age=3600)
    flags.start()
    platform.asks = True

    assert flags.refresh(WAIT)
    assert until(lambda: saw)
    assert flags.flush(WAIT)
    assert until(lambda: len(saw) > 1)
    assert [("unchanged", True), ("taken", True)] == saw


def test_on_another_thread_it_waits(make, server):
    """A thread that the start does not wait for gets the flags."""
    server.answers.clear()
    flags = make()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flags.is_enabled, "simpleFlag")
        assert server.arrived.acquire(timeout=WAIT)
        second = pool.submit(flags.is_enabled, "simpleFlag")
        server.answers.set()

        assert [True, True] == [first.result(WAIT), second.result(WAIT)]
    assert 1 == server.asked("GET")


def test_in_another_task_of_the_loop(make, server, caplog):
    """An evaluation does not block the loop on which an invocation waits."""
    server.answers.clear()
    flags = make()

    @flags.wrap
    async def handler() -> bool:
        return flags.is_enabled("simpleFlag")

    async def scenario() -> tuple[bool, bool]:
        task = asyncio.create_task(handler())
        assert await asyncio.to_thread(server.arrived.acquire, timeout=WAIT)
        asked = flags.is_enabled("simpleFlag")
        server.answers.set()
        return asked, await task

    assert (False, True) == asyncio.run(scenario())
    assert 1 == server.asked("GET")


def test_the_default_is_logged_once(make, server, interrupt, caplog):
    """One warning says why this thread got defaults, and what to do."""
    server.answers.clear()
    flags = make()

    def ring() -> None:
        for _ in range(3):
            flags.is_enabled("simpleFlag")
        server.answers.set()

    interrupt(ring, server.arrived.acquire)
    flags.wrap(lambda: None)()

    assert 1 == caplog.text.count("this thread is starting the session")
    assert 3 == flags.status.uncounted
