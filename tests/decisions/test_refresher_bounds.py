"""A server that hangs causes a back-off, and requests in flight are bounded."""

from __future__ import annotations

import pytest

from serverless_flags._clock import Instant
from serverless_flags._log import ProblemLog
from serverless_flags._protocols import Fetched
from serverless_flags._work.backoff import OVERRUN
from serverless_flags._work.flag_request import Refresh
from serverless_flags._work.refresh import (
    MOST_AT_ONCE,
    MOST_IN_ALL,
    TIMED_OUT_WAITS,
    Refresher,
)

ONE = Fetched(body="one", etag='"1"')
DOWN = Fetched(error="timed out")
STEP = 0.09
"""Seconds between looks at the clock that are no freeze."""


def _awake(it, clock, seconds) -> Instant:
    """Let time pass while the process runs."""
    for _ in range(round(seconds / STEP)):
        it.refresher.note_awake(clock.advance(STEP))
    return clock()


class TestAtOnce:
    @pytest.fixture(name="it")
    def _it(self, refreshing):
        """Return a refresher for which every invocation wants its own request."""
        return refreshing(max_age=0.0, stale_while_revalidate=0.0)

    def test_requests_in_flight_are_bounded(self, it, clock) -> None:
        """With three in flight, further callers join the newest one."""
        claimed = [it.claim(_awake(it, clock, 0.2)) for _ in range(10)]
        own = [refresh for refresh, mine in claimed if mine]

        assert MOST_AT_ONCE == len(own) == len(it.refresher.under_way)
        assert {own[-1]} == {refresh for refresh, mine in claimed[3:]}

    def test_an_ended_request_does_not_count(self, it, clock) -> None:
        """Any answer ends a request, so another one may start."""
        claimed = [it.claim(_awake(it, clock, 0.2))[0] for _ in range(MOST_AT_ONCE)]
        it.upstream.answers = [DOWN]
        it.refresher.run(claimed[0])
        another, mine = it.claim(_awake(it, clock, 0.2))

        assert mine
        assert another not in claimed

    def test_frozen_requests_do_not_count(self, it, clock) -> None:
        """They will not be answered; but a second bound includes them."""
        own = []
        for _ in range(10):
            refresh, mine = it.claim(clock.advance(600))
            own += [refresh] if mine else []

        assert MOST_IN_ALL == len(own) == len(it.refresher.under_way)

    def test_ended_requests_are_removed(self, it, clock) -> None:
        """If a request ends before it is registered, it is removed later."""
        refresh, _ = it.claim(clock())
        refresh.end()
        assert {refresh} == it.refresher.under_way.keys()
        it.refresher.note_awake(clock())

        assert {} == it.refresher.under_way


class TestInVain:
    """Where a freeze interrupts each request, none fails by its own timeout."""

    def test_two_in_a_row_start_a_back_off(self, refreshing, clock) -> None:
        """The first may be an accident; after the second there is a back-off."""
        it = refreshing()
        saw = []
        for _ in range(TIMED_OUT_WAITS):
            refresh, _ = it.claim(clock.advance(600))
            it.refresher.note_timed_out_wait(refresh)
            saw.append(it.refresher.freshness.backoff.holds(clock()))

        assert [False, True] == saw

    def test_an_answered_wait_does_not_count(self, refreshing, clock) -> None:
        """Neither does a useless answer, which has its own back-off."""
        it = refreshing(ONE)
        refresh = it.refresh()
        for _ in range(5):
            it.refresher.note_timed_out_wait(refresh)

        assert not it.refresher.freshness.backoff.holds(clock())

    def test_an_answer_resets_the_count(self, refreshing, clock) -> None:
        """Only consecutive timed-out waits count."""
        it = refreshing(ONE, ONE)
        saw = []
        for _ in range(3):
            refresh, _ = it.claim(clock.advance(600))
            it.refresher.note_timed_out_wait(refresh)
            saw.append(it.refresher.freshness.backoff.holds(clock()))
            it.upstream.answers.append(ONE)
            it.refresher.run(refresh)

        assert [False] * 3 == saw


class TestFailures:
    """Which failures of requests start a back-off."""

    @pytest.fixture(name="fails_after")
    def _fails_after(self, refreshing, clock):
        """Return a function that makes a request fail after some seconds."""

        def fails_after(seconds, *, awake=True, overtaken=False, freezes=True):
            def late():
                if awake:
                    _awake(it, clock, seconds)
                else:
                    clock.advance(seconds)
                if overtaken:
                    it.claim(clock())
                return DOWN

            it = refreshing(late, max_age=0.0, stale_while_revalidate=0.0)
            it.refresher._freezes = freezes
            refresh, _ = it.claim(clock())
            it.refresher.run(refresh)
            return it.refresher.freshness.backoff.holds(clock())

        return fails_after

    @pytest.mark.parametrize("overtaken", [False, True])
    def test_a_failure_within_the_timeout_does(self, fails_after, overtaken) -> None:
        """Another request that was started meanwhile does not prove a freeze."""
        assert fails_after(1.8, overtaken=overtaken)

    @pytest.mark.parametrize("seconds", [1.0, 600.0])
    def test_a_failure_after_a_possible_freeze_does_not(
        self, fails_after, seconds
    ) -> None:
        """A gap in which the process did not run may be a freeze."""
        assert not fails_after(seconds, awake=False, overtaken=True)

    def test_without_freezes_a_gap_means_nothing(self, fails_after) -> None:
        """An idle process records nothing for a while."""
        assert fails_after(1.8, awake=False, overtaken=True, freezes=False)

    def test_a_failure_after_the_timeout_does_not(self, fails_after) -> None:
        """Without a freeze the request would have ended before."""
        assert not fails_after(2.0 + OVERRUN + 0.1, awake=False, freezes=False)


class TestAwake:
    @pytest.mark.parametrize(
        ("freezes", "gap", "cut_off"),
        [
            (True, OVERRUN + 0.01, True),
            (True, OVERRUN - 0.01, False),
            (False, 600.0, False),
        ],
    )
    def test_a_gap_may_be_a_freeze(self, clock, freezes, gap, cut_off) -> None:
        """Only where the platform freezes, and only after a gap beyond `OVERRUN`."""
        refresh = Refresh(1, clock(), None, freezes=freezes)
        refresh.note_awake(clock.advance(gap))
        refresh.note_awake(clock.advance(0.01))

        assert cut_off is refresh.cut_off

    def test_a_gap_of_the_wall_clock_counts(self, clock) -> None:
        """A freeze of the machine may stop the monotonic clock."""
        refresh = Refresh(1, Instant(1000.0, 1000.0), None, freezes=True)
        refresh.note_awake(Instant(1000.0, 1060.0))

        assert refresh.cut_off


class TestClocks:
    """A test may freeze the clock of its own thread and not those of others."""

    def test_a_request_is_never_sent_before_it_began(self, refreshing, clock) -> None:
        """If the clocks differ, the age counts from the later one."""
        it = refreshing(ONE)
        began = Instant(clock().monotonic, 2_400_000_000.0)
        refresh, _ = it.claim(began)
        it.refresher.run(refresh)

        assert 2_400_000_000.0 == refresh.sent.wall
        assert 0 == it.refresher.freshness.age(began)

    def test_the_delay_of_its_thread_does_not_count(self, refreshing, clock) -> None:
        """A slow start of the thread is not part of the request."""
        it = refreshing(ONE)
        refresh, _ = it.claim(clock())
        later = clock.advance(0.5)
        it.refresher.run(refresh)

        assert later == refresh.sent


def test_without_a_server_no_request_is_made(clock) -> None:
    """With a snapshot alone no request is made."""
    from serverless_flags._work.freshness import Due, Freshness

    freshness = Freshness(
        max_age=0.0, stale_while_revalidate=0.0, stale_if_error=float("inf")
    )
    refresher = Refresher(
        None,
        freshness,
        request_timeout=1.0,
        freezes=True,
        clock=clock,
        problem_log=ProblemLog(),
        observe=lambda *_: None,
    )

    assert Due.NOTHING is refresher.due(clock())
    assert refresher.inherited_flags is None


def test_a_request_may_end_before_it_is_registered(refreshing, clock) -> None:
    """Its thread may end first; the request is then not in flight."""
    it = refreshing()

    def run(refresh):
        refresh.end()
        return refresh

    it.refresher.begin(clock(), run)

    assert {} == it.refresher.under_way
