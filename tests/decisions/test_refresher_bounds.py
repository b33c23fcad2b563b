"""A server that hangs is left alone, and requests for flags have a bound."""

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
        """Return a refresher whose every invocation wants a request of its own."""
        return refreshing(max_age=0.0, stale_while_revalidate=0.0)

    def test_requests_under_way_have_a_bound(self, it, clock) -> None:
        """Whoever comes when there are three joins the youngest."""
        claimed = [it.claim(_awake(it, clock, 0.2)) for _ in range(10)]
        own = [refresh for refresh, mine in claimed if mine]

        assert MOST_AT_ONCE == len(own) == len(it.refresher.under_way)
        assert {own[-1]} == {refresh for refresh, mine in claimed[3:]}

    def test_one_that_ended_makes_room(self, it, clock) -> None:
        """An answer of any kind is an end."""
        claimed = [it.claim(_awake(it, clock, 0.2))[0] for _ in range(MOST_AT_ONCE)]
        it.upstream.answers = [DOWN]
        it.refresher.run(claimed[0])
        another, mine = it.claim(_awake(it, clock, 0.2))

        assert mine
        assert another not in claimed

    def test_those_that_a_freeze_cut_off_do_not_count(self, it, clock) -> None:
        """Their answers will not come; but in all there is a bound too."""
        own = []
        for _ in range(10):
            refresh, mine = it.claim(clock.advance(600))
            own += [refresh] if mine else []

        assert MOST_IN_ALL == len(own) == len(it.refresher.under_way)

    def test_what_ended_is_forgotten(self, it, clock) -> None:
        """A thread that was ahead of its claim leaves one that has ended."""
        refresh, _ = it.claim(clock())
        refresh.end()
        assert {refresh} == it.refresher.under_way.keys()
        it.refresher.note_awake(clock())

        assert {} == it.refresher.under_way


class TestInVain:
    """Where a freeze cuts off each request, none of them fails in its own time."""

    def test_twice_is_enough(self, refreshing, clock) -> None:
        """The first may be bad luck; after the second the server is left alone."""
        it = refreshing()
        saw = []
        for _ in range(TIMED_OUT_WAITS):
            refresh, _ = it.claim(clock.advance(600))
            it.refresher.note_timed_out_wait(refresh)
            saw.append(it.refresher.freshness.backoff.holds(clock()))

        assert [False, True] == saw

    def test_who_got_an_answer_did_not_wait_in_vain(self, refreshing, clock) -> None:
        """Also one that could not be used: it has its own back-off."""
        it = refreshing(ONE)
        refresh = it.refresh()
        for _ in range(5):
            it.refresher.note_timed_out_wait(refresh)

        assert not it.refresher.freshness.backoff.holds(clock())

    def test_an_answer_in_between_begins_anew(self, refreshing, clock) -> None:
        """One after the other is what counts."""
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
    """Which of them say something of the server."""

    @pytest.fixture(name="fails_after")
    def _fails_after(self, refreshing, clock):
        """Return what lets a request fail after some seconds awake."""

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
    def test_in_its_own_time_it_does(self, fails_after, overtaken) -> None:
        """That another request was begun meanwhile proves no freeze."""
        assert fails_after(1.8, overtaken=overtaken)

    @pytest.mark.parametrize("seconds", [1.0, 600.0])
    def test_where_a_freeze_may_have_cut_it_off_it_does_not(
        self, fails_after, seconds
    ) -> None:
        """A gap in which the process did not run may be one."""
        assert not fails_after(seconds, awake=False, overtaken=True)

    def test_where_nothing_freezes_a_gap_is_none(self, fails_after) -> None:
        """An idle process notes nothing for a while."""
        assert fails_after(1.8, awake=False, overtaken=True, freezes=False)

    def test_past_its_own_time_it_does_not(self, fails_after) -> None:
        """A request has ended by then, unless the process stood still."""
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
        """Where the platform freezes, and the gap is longer than a busy moment."""
        refresh = Refresh(1, clock(), None, freezes=freezes)
        refresh.note_awake(clock.advance(gap))
        refresh.note_awake(clock.advance(0.01))

        assert cut_off is refresh.cut_off

    def test_a_wall_clock_that_ran_on_is_a_gap(self, clock) -> None:
        """A frozen machine may stop the monotonic clock."""
        refresh = Refresh(1, Instant(1000.0, 1000.0), None, freezes=True)
        refresh.note_awake(Instant(1000.0, 1060.0))

        assert refresh.cut_off


class TestClocks:
    """A test may freeze the clock of its own thread and leave the others running."""

    def test_a_request_is_never_sent_before_it_was_begun(
        self, refreshing, clock
    ) -> None:
        """The age of the flags is then that of the clock which is ahead."""
        it = refreshing(ONE)
        began = Instant(clock().monotonic, 2_400_000_000.0)
        refresh, _ = it.claim(began)
        it.refresher.run(refresh)

        assert 2_400_000_000.0 == refresh.sent.wall
        assert 0 == it.refresher.freshness.age(began)

    def test_nor_later_than_its_thread_says(self, refreshing, clock) -> None:
        """A slow start of the thread is not part of the request."""
        it = refreshing(ONE)
        refresh, _ = it.claim(clock())
        later = clock.advance(0.5)
        it.refresher.run(refresh)

        assert later == refresh.sent


def test_a_server_that_is_not_there_is_never_asked(clock) -> None:
    """A snapshot alone makes no request."""
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


def test_a_request_that_ends_before_it_is_noted_is_not_under_way(
    refreshing, clock
) -> None:
    """Its thread may be faster than the one that began it."""
    it = refreshing()

    def run(refresh):
        refresh.end()
        return refresh

    it.refresher.begin(clock(), run)

    assert {} == it.refresher.under_way
