"""Refreshes: one request at a time, the newest answer wins, each body taken once."""

from __future__ import annotations

import logging
import math
import threading

import pytest

from serverless_flags._client import Fetched
from serverless_flags._freshness import Due, Freshness
from serverless_flags._refresh import NO_FLAGS, Refresher
from serverless_flags._report import Reporter

ONE = Fetched(body="one", etag='"1"', flags=1)
TWO = Fetched(body="two", etag='"2"', flags=2)
SAME = Fetched(unchanged=True, etag='"1"')
DOWN = Fetched(error="the server answered 503", retry_after=60.0)


class Refreshing:
    """A `Refresher` with all that it touches."""

    def __init__(self, upstream, client, clock, **ages) -> None:
        ages = {"max_age": 15.0, "stale_while_revalidate": 45.0, **ages}
        ages.setdefault("stale_if_error", math.inf)
        self.upstream, self.client, self.clock = upstream, client, clock
        self.observed: list[tuple[str, float]] = []
        self.refresher = Refresher(
            upstream,
            Freshness(**ages, uniform=lambda: 1.0),
            request_timeout=2.0,
            clock=clock,
            reporter=Reporter(),
            observe=lambda *observed: self.observed.append(observed),
        )
        if client is not None:
            self.refresher.adopt(client)

    def refresh(self):
        """Ask the server once; return the refresh, which has ended."""
        refresh, mine = self.refresher.claim(self.clock())
        assert mine
        self.refresher.run(refresh)
        assert refresh.ended
        return refresh

    def sees(self) -> tuple:
        """Return what the session would report of the flags."""
        refresher = self.refresher
        return refresher.source, refresher.flags, refresher.last_error


@pytest.fixture(name="refreshing")
def _refreshing(server, client, clock):
    def make(*answers, upstream=True, **ages):
        there = server(*answers) if upstream else None
        return Refreshing(there, client, clock, **ages)

    return make


class TestAnswers:
    def test_a_new_state_is_taken(self, refreshing, clock) -> None:
        """Once, and its ETag is asked with next time."""
        it = refreshing(ONE, SAME)
        assert ("none", None, None) == it.sees()
        first = it.refresh()
        assert ("server", 1, None) == it.sees()
        second = it.refresh()

        assert first.confirmed and second.confirmed
        assert ["one"] == it.client.bodies
        assert [(None, 2.0), ('"1"', 2.0)] == it.upstream.asked
        assert ["changed", "unchanged"] == [outcome for outcome, _ in it.observed]
        assert ("server", 1, None) == it.sees()

    def test_an_unchanged_state_is_never_taken_again(self, refreshing) -> None:
        """Parsing is what a refresh costs; it is paid once per change."""
        it = refreshing(ONE, *[SAME] * 5, TWO)
        for _ in range(7):
            it.refresh()

        assert ["one", "two"] == it.client.bodies

    def test_the_age_counts_from_the_sending(self, refreshing, clock) -> None:
        """An answer is as old as its request, which began after it was claimed."""
        it = refreshing(lambda: (clock.advance(3), ONE)[1])
        refresh, _ = it.refresher.claim(clock())
        clock.advance(5)
        it.refresher.run(refresh)

        assert 3 == it.refresher.freshness.age(clock())
        assert [("changed", 3)] == it.observed

    def test_a_failure_keeps_the_flags(self, refreshing, clock, caplog) -> None:
        """They are served on, the server is left alone, and the log says so once."""
        caplog.set_level(logging.INFO)
        it = refreshing(ONE, DOWN, DOWN, SAME)
        it.refresh()
        clock.advance(100)
        failed = it.refresh()
        assert not failed.confirmed
        assert ("server", 1, "the server answered 503") == it.sees()
        assert 100 == it.refresher.freshness.age(clock())
        assert Due.NOTHING is it.refresher.due(clock.advance(59))
        assert Due.FIRST is it.refresher.due(clock.advance(1))
        it.refresh()
        it.refresh()

        assert [
            (
                "flags could not be refreshed, the last flags are served:"
                " the server answered 503"
            ),
            "flags are refreshed again",
        ] == caplog.messages
        assert ("server", 1, None) == it.sees()
        assert ["changed", "failed", "failed", "unchanged"] == [
            outcome for outcome, _ in it.observed
        ]

    def test_a_failure_without_flags_serves_defaults(self, refreshing, caplog) -> None:
        """The log says what the user sees."""
        it = refreshing(DOWN)
        it.refresh()

        assert "defaults are served" in caplog.text
        assert ("none", None, "the server answered 503") == it.sees()

    def test_a_fault_of_the_client_is_a_failure(self, refreshing) -> None:
        """Its class is told, not its words, which may hold anything."""
        it = refreshing(KeyError("token"))
        it.refresh()

        assert ("none", None, "KeyError in the flag client") == it.sees()

    def test_an_interrupt_ends_the_waiting(self, refreshing) -> None:
        """What ends the process is not swallowed, and nobody waits for it."""
        it = refreshing(KeyboardInterrupt())
        refresh, _ = it.refresher.claim(it.clock())
        with pytest.raises(KeyboardInterrupt):
            it.refresher.run(refresh)

        assert refresh.ended
        assert not refresh.confirmed

    @pytest.mark.parametrize(
        ("error", "why"),
        [(ValueError("no JSON"), "no JSON"), (KeyError("x"), "KeyError")],
    )
    def test_a_state_that_cannot_be_taken_is_a_failure(
        self, refreshing, error, why
    ) -> None:
        """Its ETag is not kept, so the whole state is asked for again."""
        it = refreshing(ONE, ONE)
        it.client.error = error
        it.refresh()
        assert ("none", None, f"the flags could not be taken: {why}") == it.sees()
        it.client.error = None
        it.refresh()

        assert [None, None] == [etag for etag, _ in it.upstream.asked]
        assert ("server", 1, None) == it.sees()

    def test_without_a_server_nothing_is_due(self, refreshing, clock) -> None:
        """A client that looks after itself is not refreshed."""
        it = refreshing(upstream=False)

        assert Due.NOTHING is it.refresher.due(clock())


class TestOneAtATime:
    def test_who_comes_second_waits_for_the_first(self, refreshing, clock) -> None:
        """One request serves all that need it."""
        it = refreshing(ONE)
        first, mine = it.refresher.claim(clock())
        second, yours = it.refresher.claim(clock.advance(2))

        assert (True, False) == (mine, yours)
        assert first is second

    def test_after_an_answer_the_next_request_is_another(self, refreshing) -> None:
        """What has ended is waited for by nobody."""
        it = refreshing(ONE, SAME)

        assert it.refresh() is not it.refresh()

    def test_a_request_from_before_a_freeze_is_not_waited_for(
        self, refreshing, clock
    ) -> None:
        """It never counts as fresh and does not stand in the way of a new one."""
        it = refreshing()
        frozen, _ = it.refresher.claim(clock())
        thawed, mine = it.refresher.claim(clock.advance(2.1))

        assert mine
        assert thawed.generation > frozen.generation

    def test_a_request_too_old_to_serve_is_not_waited_for(
        self, refreshing, clock
    ) -> None:
        """Its answer would be stale on arrival."""
        it = refreshing(max_age=0.0, stale_while_revalidate=0.5)
        it.refresher.claim(clock())

        assert it.refresher.claim(clock.advance(0.6))[1]

    def test_an_answer_that_was_overtaken_is_dropped(self, refreshing, clock) -> None:
        """It neither overwrites a newer state nor makes it look older."""
        it = refreshing(TWO, ONE)
        frozen, _ = it.refresher.claim(clock())
        clock.advance(600)
        it.refresh()
        it.refresher.run(frozen)

        assert frozen.ended
        assert not frozen.confirmed
        assert ["two"] == it.client.bodies
        assert ("server", 2, None) == it.sees()
        assert 0 == it.refresher.freshness.age(clock())
        assert ["changed"] == [outcome for outcome, _ in it.observed]

    def test_a_failure_that_was_overtaken_is_dropped(self, refreshing, clock) -> None:
        """A timeout from before a freeze says nothing of the server now."""
        it = refreshing(TWO, DOWN)
        frozen, _ = it.refresher.claim(clock())
        clock.advance(600)
        it.refresh()
        it.refresher.run(frozen)

        assert ("server", 2, None) == it.sees()
        assert not it.refresher.freshness.backoff.holds(clock())

    @pytest.mark.parametrize("seconds", [0, 600])
    def test_a_failure_that_a_freeze_cut_off_says_nothing(
        self, refreshing, clock, caplog, seconds
    ) -> None:
        """An instance that did not run, or has asked again, blames no server."""
        it = refreshing(lambda: (clock.advance(seconds), DOWN)[1])
        frozen, _ = it.refresher.claim(clock())
        if not seconds:
            it.refresher.claim(clock.advance(600))
        it.refresher.run(frozen)

        assert ("none", None, "the server answered 503") == it.sees()
        assert not it.refresher.freshness.backoff.holds(clock())
        assert [] == caplog.messages
        assert ["failed"] == [outcome for outcome, _ in it.observed]

    def test_unchanged_says_nothing_of_other_flags(self, refreshing, clock) -> None:
        """A 304 confirms the flags it was asked about, not those taken meanwhile."""
        it = refreshing(ONE, TWO, SAME, TWO)
        it.refresh()
        slow, _ = it.refresher.claim(clock())
        fast, mine = it.refresher.claim(clock.advance(3))
        assert mine
        it.refresher.run(slow)  # the server was at TWO, and is back at ONE
        it.refresher.run(fast)

        assert not fast.confirmed
        it.refresh()
        assert '"2"' == it.upstream.asked[-1][0]

    def test_an_answer_waits_for_its_client(self, refreshing, server, clock) -> None:
        """The first request is sent while the client is still being imported."""
        it = Refreshing(server(ONE), None, clock)
        refresh = it.refresh()
        client = refreshing().client
        assert ("none", None, None) == it.sees()
        it.refresher.adopt(client)
        it.refresher.apply(refresh)
        it.refresher.apply(refresh)

        assert ["one"] == client.bodies
        assert ("server", 1, None) == it.sees()
        assert ["changed"] == [outcome for outcome, _ in it.observed]

    def test_a_request_without_answer_changes_nothing(self, refreshing, clock) -> None:
        """Whoever gave up waiting may look all the same."""
        it = refreshing()
        refresh, _ = it.refresher.claim(clock())
        it.refresher.apply(refresh)

        assert ("none", None, None) == it.sees()
        assert [] == it.observed

    def test_threads_agree_on_one_request(self, refreshing, clock) -> None:
        """However many invocations find stale flags at once."""
        it = refreshing(ONE)
        start = threading.Barrier(8)
        claimed = []

        def claim():
            start.wait(20)
            claimed.append(it.refresher.claim(clock()))

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert 1 == sum(mine for _, mine in claimed)
        assert 1 == len({id(refresh) for refresh, _ in claimed})


class TestSnapshot:
    def test_a_snapshot_is_served(self, refreshing, clock) -> None:
        """Until the server has answered, which is asked beside an invocation."""
        it = refreshing(TWO)
        assert it.refresher.take_snapshot(ONE)
        assert ("snapshot", 1, None) == it.sees()
        assert Due.BESIDE is it.refresher.due(clock())
        it.refresh()

        assert ["one", "two"] == it.client.bodies
        assert ("server", 2, None) == it.sees()
        assert it.upstream.asked[0][0] is None

    @pytest.mark.parametrize("broken", ["file", "client"])
    def test_a_snapshot_that_cannot_be_served(
        self, refreshing, clock, caplog, broken
    ) -> None:
        """Is told of, and the server is asked instead."""
        it = refreshing()
        if broken == "client":
            it.client.error = ValueError("no JSON")
        fetched = Fetched(error="no such file") if broken == "file" else ONE
        assert not it.refresher.take_snapshot(fetched)

        assert ("none", None) == it.sees()[:2]
        assert it.sees()[2]
        assert "; asking the server instead" in caplog.text
        assert Due.FIRST is it.refresher.due(clock())


class TestExpiry:
    def test_flags_that_are_too_old_are_forgotten(
        self, refreshing, clock, caplog
    ) -> None:
        """Defaults from then on, until the server has answered."""
        caplog.set_level(logging.INFO)
        it = refreshing(ONE, ONE, stale_if_error=100.0)
        it.refresh()
        it.refresher.forget_expired(clock.advance(115))
        assert ("server", 1, None) == it.sees()
        it.refresher.forget_expired(clock.advance(1))
        it.refresher.forget_expired(clock.advance(1))
        assert ("none", None, None) == it.sees()
        assert ["one", NO_FLAGS] == it.client.bodies
        it.refresh()

        assert ("server", 1, None) == it.sees()
        assert ["one", NO_FLAGS, "one"] == it.client.bodies
        assert [None, None] == [etag for etag, _ in it.upstream.asked]
        assert [
            "the flags are older than stale_if_error allows: defaults from now on",
            "flags are served again",
        ] == caplog.messages

    def test_without_a_limit_they_are_never_forgotten(self, refreshing, clock) -> None:
        """``stale_if_error`` has none by default."""
        it = refreshing(ONE)
        it.refresh()
        it.refresher.forget_expired(clock.advance(1e9))

        assert ("server", 1, None) == it.sees()

    def test_unchanged_does_not_bring_forgotten_flags_back(
        self, refreshing, clock
    ) -> None:
        """A slow 304 confirms flags that nobody has any more: they are asked for."""
        it = refreshing(ONE, SAME, ONE, stale_if_error=100.0)
        it.refresh()
        slow, _ = it.refresher.claim(clock.advance(200))
        it.refresher.forget_expired(clock())  # the invocation waited long enough
        it.refresher.run(slow)

        assert ("none", None, None) == it.sees()
        assert not slow.confirmed
        it.refresh()
        assert ["one", NO_FLAGS, "one"] == it.client.bodies
        assert ("server", 1, None) == it.sees()

    def test_without_a_client_there_is_nothing_to_forget(self, server, clock) -> None:
        """A source without a client is only a word."""
        it = Refreshing(server(ONE), None, clock, stale_if_error=100.0)
        it.refresher.apply(it.refresh())
        it.refresher.forget_expired(clock.advance(200))

        assert ("none", None, None) == it.sees()
