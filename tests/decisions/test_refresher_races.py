"""Concurrent refreshes: they share requests, and the newest answer wins."""

from __future__ import annotations

import logging
import threading

import pytest

from serverless_flags._protocols import NO_FLAGS, Fetched

ONE = Fetched(body="one", etag='"1"')
TWO = Fetched(body="two", etag='"2"')
SAME = Fetched(unchanged=True, etag='"1"')
DOWN = Fetched(error="the server answered 503", retry_after=60.0)


class TestOneAtATime:
    def test_a_second_caller_joins_the_request(self, refreshing, clock) -> None:
        """One request serves all callers that need it."""
        it = refreshing(ONE)
        first, mine = it.claim(clock())
        second, yours = it.claim(clock.advance(2))

        assert (True, False) == (mine, yours)
        assert first is second

    def test_after_an_answer_a_new_request_is_made(self, refreshing) -> None:
        """A request that has ended is not joined."""
        it = refreshing(ONE, SAME)

        assert it.refresh() is not it.refresh()

    def test_a_request_from_before_a_freeze_is_not_joined(
        self, refreshing, clock
    ) -> None:
        """It does not count as fresh, and does not prevent a new request."""
        it = refreshing()
        frozen, _ = it.claim(clock())
        thawed, mine = it.claim(clock.advance(2.1))

        assert mine
        assert thawed.generation > frozen.generation

    def test_a_request_too_old_to_serve_is_not_joined(self, refreshing, clock) -> None:
        """Its answer would be stale on arrival."""
        it = refreshing(max_age=0.0, stale_while_revalidate=0.5)
        it.claim(clock())

        assert it.claim(clock.advance(0.6))[1]

    def test_an_older_answer_is_dropped(self, refreshing, clock) -> None:
        """It neither replaces a newer state nor increases its age."""
        it = refreshing(TWO, ONE)
        frozen, _ = it.claim(clock())
        clock.advance(600)
        it.refresh()
        it.refresher.run(frozen)

        assert frozen.ended
        assert not frozen.confirmed
        assert ["two"] == it.client.bodies
        assert ("server", 2, None) == it.sees()
        assert 0 == it.refresher.freshness.age(clock())
        assert ["changed"] == [outcome for outcome, _ in it.observed]

    def test_an_older_failure_is_dropped(self, refreshing, clock) -> None:
        """A timeout from before a freeze says nothing about the server now."""
        it = refreshing(TWO, DOWN)
        frozen, _ = it.claim(clock())
        clock.advance(600)
        it.refresh()
        it.refresher.run(frozen)

        assert ("server", 2, None) == it.sees()
        assert not it.refresher.freshness.backoff.holds(clock())

    @pytest.mark.parametrize("seconds", [0, 600])
    def test_a_failure_during_a_freeze_does_not_count(
        self, refreshing, clock, caplog, seconds
    ) -> None:
        """A process that was frozen, or has asked again, starts no back-off."""
        it = refreshing(lambda: (clock.advance(seconds), DOWN)[1])
        frozen, _ = it.claim(clock())
        if not seconds:
            it.claim(clock.advance(600))
        it.refresher.run(frozen)

        assert ("none", None, "the server answered 503") == it.sees()
        assert not it.refresher.freshness.backoff.holds(clock())
        assert [] == caplog.messages
        assert ["failed"] == [outcome for outcome, _ in it.observed]

    def test_a_304_for_other_flags_is_dropped(self, refreshing, clock) -> None:
        """A 304 confirms only the flags whose ETag was sent."""
        it = refreshing(ONE, TWO, SAME, TWO)
        it.refresh()
        slow, _ = it.claim(clock())
        fast, mine = it.claim(clock.advance(3))
        assert mine
        it.refresher.run(slow)  # the server was at TWO, and is back at ONE
        it.refresher.run(fast)

        assert not fast.confirmed
        it.refresh()
        assert '"2"' == it.upstream.asked[-1][0]

    def test_an_answer_waits_for_its_client(self, refreshing, client) -> None:
        """The first request is sent while the client is still being imported."""
        it = refreshing(ONE, client=False)
        refresh = it.refresh()
        assert ("none", None, None) == it.sees()
        it.refresher.adopt(client)
        it.refresher.apply(refresh)
        it.refresher.apply(refresh)

        assert ["one"] == client.bodies
        assert ("server", 1, None) == it.sees()
        assert ["changed"] == [outcome for outcome, _ in it.observed]

    def test_a_request_without_answer_changes_nothing(self, refreshing, clock) -> None:
        """Applying a request that was not answered does nothing."""
        it = refreshing()
        refresh, _ = it.claim(clock())
        it.refresher.apply(refresh)

        assert ("none", None, None) == it.sees()
        assert [] == it.observed

    def test_concurrent_threads_share_one_request(self, refreshing, clock) -> None:
        """However many invocations find stale flags at the same time."""
        it = refreshing(ONE)
        start = threading.Barrier(8)
        claimed = []

        def claim():
            start.wait(20)
            claimed.append(it.claim(clock()))

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert 1 == sum(mine for _, mine in claimed)
        assert 1 == len({id(refresh) for refresh, _ in claimed})


class Meanwhile:
    """A lock that another thread holds while it does something."""

    def __init__(self, something) -> None:
        self._something = [something]

    def __enter__(self) -> None:
        if self._something:
            self._something.pop()()

    def __exit__(self, *_error: object) -> None:
        """Do nothing."""


class TestExpiry:
    def test_expired_flags_are_forgotten(self, refreshing, clock, caplog) -> None:
        """Defaults are served until the server has answered."""
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
            "the flags are older than stale_if_error allows: serving defaults",
            "flags are served again",
        ] == caplog.messages

    def test_without_a_limit_flags_are_never_forgotten(self, refreshing, clock) -> None:
        """By default there is no ``stale_if_error``."""
        it = refreshing(ONE)
        it.refresh()
        it.refresher.forget_expired(clock.advance(1e9))

        assert ("server", 1, None) == it.sees()

    def test_a_304_does_not_restore_forgotten_flags(self, refreshing, clock) -> None:
        """A late 304 confirms flags that are gone, so the next request asks again."""
        it = refreshing(ONE, SAME, ONE, stale_if_error=100.0)
        it.refresh()
        slow, _ = it.claim(clock.advance(200))
        it.refresher.forget_expired(clock())  # the invocation waited long enough
        it.refresher.run(slow)

        assert ("none", None, None) == it.sees()
        assert not slow.confirmed
        it.refresh()
        assert ["one", NO_FLAGS, "one"] == it.client.bodies
        assert ("server", 1, None) == it.sees()

    def test_flags_confirmed_meanwhile_are_kept(self, refreshing, clock) -> None:
        """A late answer and an invocation that timed out handle them at once."""
        it = refreshing(ONE, SAME, stale_if_error=100.0)
        it.refresh()
        moment = clock.advance(200)
        it.refresher._applying = Meanwhile(it.refresh)
        it.refresher.forget_expired(moment)

        assert ["one"] == it.client.bodies
        assert ("server", 1, None) == it.sees()

    def test_without_a_client_flags_cannot_expire(self, refreshing, clock) -> None:
        """`source` stays "none" until a client has loaded the flags."""
        it = refreshing(ONE, client=False, stale_if_error=100.0)
        it.refresher.apply(it.refresh())
        it.refresher.forget_expired(clock.advance(200))

        assert ("none", None, None) == it.sees()
