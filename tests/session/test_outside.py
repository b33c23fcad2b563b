"""Flags evaluated outside invocations stay fresh and are counted in the background."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serverless_flags import FlagSession

WAIT = 20.0
"""Seconds; a bound against hanging only."""

STALE, OLD = 16.0, 61.0
"""Seconds after which flags are refreshed during, and before, an invocation."""


@pytest.fixture(name="ask", params=["is_enabled", "get_variant"])
def _ask(request):
    """Return a function that evaluates the flag by either method."""

    def ask(flags):
        if request.param == "is_enabled":
            return flags.is_enabled("simpleFlag")
        return flags.get_variant("simpleFlag")["feature_enabled"]

    return ask


@pytest.fixture(name="where", params=["here", "thread", "loop"])
def _where(request):
    """Return a function that evaluates in one of the places outside invocations."""

    def where(call):
        if request.param == "here":
            return call()
        if request.param == "loop":

            async def main():
                return call()

            return asyncio.run(main())
        answers = []
        thread = threading.Thread(target=lambda: answers.append(call()))
        thread.start()
        thread.join(WAIT)
        return answers[0]

    return where


@pytest.fixture(name="started")
def _started(make, server):
    """Return a function that starts a session and waits for its first request."""

    def started(platform=None, **settings):
        flags = make(platform, **settings)
        flags.start()
        server.arrived.acquire()
        return flags

    return started


class TestFresh:
    """Flags are refreshed by age, as in an invocation; no evaluation waits."""

    @pytest.mark.parametrize("age", [STALE, OLD, 1e6])
    def test_a_change_is_seen(
        self, started, server, clock, until, ask, where, age
    ) -> None:
        """The evaluation that finds stale flags gets them; later ones get new flags."""
        flags = started()
        server.flags["simpleFlag"] = False
        server.answers.clear()
        clock.advance(age)
        first = where(lambda: ask(flags))
        server.answers.set()

        assert first is True
        assert until(lambda: ask(flags) is False)
        assert 2 == server.asked("GET")

    def test_fresh_flags_are_not_requested(self, started, server, clock, ask) -> None:
        """Within `max_age` an evaluation makes no request."""
        flags = started()
        clock.advance(13)
        for _ in range(10):
            ask(flags)

        assert 1 == server.asked("GET")

    def test_one_request_serves_all(self, started, server, clock, ask) -> None:
        """Evaluations make no further request while the server is slow."""
        flags = started()
        server.answers.clear()
        clock.advance(STALE)
        answers = [ask(flags) for _ in range(50)]
        server.answers.set()

        assert [True] * 50 == answers
        assert 2 >= server.asked("GET")

    def test_a_failing_server_is_not_asked(
        self, started, server, clock, until, ask
    ) -> None:
        """The back-off applies outside invocations too."""
        flags = started()
        server.status["GET"] = 500
        clock.advance(STALE)
        ask(flags)
        assert until(lambda: flags.status.last_error)
        for _ in range(10):
            ask(flags)

        assert 2 == server.asked("GET")

    def test_flags_too_old_to_be_served_are_forgotten(
        self, started, server, clock, until, ask
    ) -> None:
        """``stale_if_error`` is a limit outside invocations too."""
        flags = started(stale_if_error=100)
        server.status["GET"] = 500
        clock.advance(200)
        answers = [ask(flags), ask(flags)]

        assert answers[1] is False
        assert "none" == flags.status.source

    def test_a_client_that_refreshes_itself(self, cloud, ask) -> None:
        """The session has no work to do for it."""
        from serverless_flags.clients.memory import MemoryClient

        client = MemoryClient({"simpleFlag": True})
        with FlagSession(client=client, plugins=[cloud()]) as flags:
            assert ask(flags) is True


class TestCounted:
    """Evaluations reach the server though no invocation ends."""

    def test_every_flush_interval(self, started, server, clock, until, ask) -> None:
        """The evaluation that finds counts due sends them in the background."""
        flags = started(flush_interval=60, max_age=3600)
        for _ in range(3):
            ask(flags)
        before = server.asked("POST")
        clock.advance(60)
        ask(flags)

        assert 0 == before
        assert until(lambda: server.counted() >= 3)
        assert flags.flush(WAIT)
        assert 4 == server.counted()

    def test_where_each_invocation_would_flush(
        self, started, server, clock, until, ask
    ) -> None:
        """At most once a second, because an evaluation is not an invocation."""
        flags = started(flush_interval=0, max_age=3600)
        for _ in range(10):
            ask(flags)
        before = server.asked("POST")
        clock.advance(1)
        ask(flags)

        assert 0 == before
        assert until(lambda: server.counted() >= 10)

    def test_the_next_invocation_sends_earlier_counts(
        self, started, server, ask
    ) -> None:
        """Where each invocation flushes, even one without an evaluation does."""
        flags = started(flush_interval=0, max_age=3600)
        ask(flags)
        with flags.invocation():
            pass

        assert 1 == server.counted()

    def test_stale_flags_and_due_counts_go_together(
        self, started, server, clock, until, ask
    ) -> None:
        """One after the other, over one connection."""
        flags = started(flush_interval=10)
        ask(flags)
        clock.advance(STALE)
        ask(flags)

        assert until(lambda: server.asked("POST"))
        assert ["GET", "GET", "POST"] == [method for method, _ in server.requests]

    def test_evaluations_do_not_wait(self, started, server, clock, ask) -> None:
        """An evaluation returns although the server does not answer."""
        flags = started(flush_interval=10, max_age=3600)
        ask(flags)
        server.answers.clear()
        clock.advance(10)
        answers = [ask(flags) for _ in range(3)]
        server.answers.set()

        assert [True] * 3 == answers

    @pytest.mark.parametrize("interval", [0, 10])
    def test_counts_that_were_not_accepted_wait(
        self, started, server, clock, until, ask, interval
    ) -> None:
        """The back-off of a flush applies outside invocations too."""
        flags = started(flush_interval=interval, max_age=3600)
        server.status["POST"] = 503
        server.headers["Retry-After"] = "60"
        ask(flags)
        clock.advance(10)
        ask(flags)
        assert until(lambda: flags.status.last_error)
        clock.advance(11)
        for _ in range(5):
            ask(flags)

        assert 1 == server.asked("POST")


class TestWarned:
    """One warning, on platforms where counts may be lost."""

    TEXT = "a flag was evaluated outside an invocation"

    def test_on_a_platform_that_freezes(self, started, caplog, ask, where) -> None:
        """It says what to do, once, however many evaluations there are."""
        flags = started()
        for _ in range(3):
            where(lambda: ask(flags))

        assert 1 == caplog.text.count(self.TEXT)
        assert "@flags.wrap" in caplog.text

    def test_when_the_evaluation_itself_starts_the_session(
        self, make, caplog, ask
    ) -> None:
        """A session whose function is not wrapped never starts otherwise."""
        flags = make()

        assert ask(flags) is True
        assert 1 == caplog.text.count(self.TEXT)

    def test_after_the_last_invocation(self, started, caplog, ask) -> None:
        """A thread that an invocation left running is outside invocations."""
        flags = started()
        with flags.invocation():
            inside = ask(flags), self.TEXT in caplog.text
        ask(flags)

        assert (True, False) == inside
        assert 1 == caplog.text.count(self.TEXT)

    def test_not_where_the_process_runs_on(self, started, cloud, caplog, ask) -> None:
        """Nothing is late or lost there."""
        ask(started(cloud(runs_between_invocations=True)))

        assert self.TEXT not in caplog.text

    def test_not_on_a_laptop(self, server, caplog, ask) -> None:
        """A script need not wrap anything."""
        with FlagSession(url=server.url, api_token="a", plugins=[]) as flags:
            assert ask(flags) is True

        assert self.TEXT not in caplog.text
