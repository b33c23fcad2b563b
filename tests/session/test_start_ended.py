"""A session that is closed or terminated during its start, or twice."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import State

WAIT = 20.0
"""Seconds; a bound against hanging only."""


class TestEnded:
    """A session that ends during its start."""

    @pytest.fixture(name="starting")
    def _starting(self, make, server):
        """Return a session whose first invocation waits for the server."""
        server.answers.clear()
        with contextlib.ExitStack() as stack:

            def starting(**settings):
                flags = make(**settings)
                handler = flags.wrap(
                    lambda: [flags.is_enabled("simpleFlag") for _ in range(10)]
                )
                pool = stack.enter_context(ThreadPoolExecutor(1))
                answers = pool.submit(handler)
                assert server.arrived.acquire(timeout=WAIT)
                return flags, answers

            yield starting
            server.answers.set()

    @pytest.mark.parametrize("client", ["lean", "unleash"])
    def test_closed_during_the_start(self, starting, server, until, client) -> None:
        """It stays closed, and logs each later evaluation as lost."""
        flags, answers = starting(client=client)
        flags.close(1.0)
        server.answers.set()
        assert 10 == len(answers.result(WAIT))
        flags.wrap(lambda: [flags.is_enabled("simpleFlag") for _ in range(5)])()
        flags.close(1.0)
        until(lambda: not flags._core.process._starts.under_way)
        status = flags.status

        assert State.CLOSED is status.state
        assert 15 == server.counted() + status.uncounted + status.unknown_counts

    def test_closed_during_the_start_it_makes_no_more_requests(
        self, starting, server, clock
    ) -> None:
        """Nothing is refreshed or flushed afterwards, however old the flags are."""
        flags, answers = starting()
        flags.close(1.0)
        server.answers.set()
        answers.result(WAIT)
        asked = len(server.requests)
        clock.advance(3600)
        flags.wrap(lambda: flags.is_enabled("simpleFlag"))()
        flags.is_enabled("simpleFlag")

        assert asked == len(server.requests)

    def test_terminated_during_the_start(self, starting, server) -> None:
        """The invocation that waited for the start ends with a flush."""
        flags, answers = starting()
        flags.terminate(1.0)
        server.answers.set()
        answered = answers.result(WAIT)

        assert [True] * 10 == answered
        assert State.TERMINATING is flags.status.state
        assert 10 == server.counted()

    def test_a_copy_made_during_the_start_starts_for_itself(
        self, starting, server
    ) -> None:
        """The copy does not share the start of the original."""
        flags, answers = starting()
        flags.renew()
        before = flags.status.state
        server.answers.set()
        answers.result(WAIT)

        assert State.NEW is before
        assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is True


class TestTwice:
    """Work that two threads begin at once is done once."""

    def test_a_start_that_is_over_is_not_waited_for(self, make, server) -> None:
        """A start may end just before a task begins to wait for it."""
        flags = make()
        flags.start()
        asyncio.run(flags._core.process.start_async(flags._core.plugins, WAIT, WAIT))

        assert 1 == server.asked("GET")

    def test_two_threads_close(self, make, server, caplog) -> None:
        """Both wait for the last flush, and one of them logs what is lost."""
        flags = make()
        flags.is_enabled("simpleFlag")
        server.status["POST"] = 400
        server.answers.clear()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(flags.close, WAIT)
            for _ in range(2):  # the start's request and the flush
                assert server.arrived.acquire(timeout=WAIT)
            second = pool.submit(flags.close, WAIT)
            server.answers.set()
            for each in (first, second):
                each.result(WAIT)
            flags._core.process._shut_down()  # as the slower one does

        assert 1 == caplog.text.count("the session has ended: 1 evaluations")
        assert (State.CLOSED, 1) == (flags.status.state, flags.status.uncounted)
