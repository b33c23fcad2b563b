"""When flags are fresh, stale or too old, and when a server is left alone."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless_flags._clock import Instant, now
from serverless_flags._work.backoff import BACKOFF_MOST, Backoff
from serverless_flags._work.freshness import JITTER, Due, Freshness

START = Instant(1000.0, 1_700_000_000.0)
seconds = st.floats(0, 1e6, allow_nan=False)


def later(by: float) -> Instant:
    return Instant(START.monotonic + by, START.wall + by)


def freshness(uniform=lambda: 0.0, **settings) -> Freshness:
    defaults = {
        "max_age": 15.0,
        "stale_while_revalidate": 45.0,
        "stale_if_error": math.inf,
    }
    return Freshness(**{**defaults, **settings}, uniform=uniform)


class TestInstant:
    def test_the_clock_that_says_more_is_believed(self) -> None:
        """A freeze stops the monotonic clock; a wall clock may be set back."""
        frozen = Instant(START.monotonic + 1, START.wall + 600)
        set_back = Instant(START.monotonic + 5, START.wall - 3600)

        assert 600 == frozen.since(START)
        assert 5 == set_back.since(START)

    def test_now_reads_both_clocks(self) -> None:
        """They are the process's own."""
        before = Instant(time.monotonic(), time.time())
        moment = now()

        assert before.monotonic <= moment.monotonic <= time.monotonic()
        assert before.wall - 1 <= moment.wall <= time.time() + 1


class TestBackoff:
    def test_a_server_that_never_failed_is_asked(self) -> None:
        """And so is one that has recovered."""
        backoff = Backoff(lambda: 1.0)
        assert not backoff.holds(START)
        backoff.fail(START)
        assert backoff.holds(START)
        backoff.succeed()

        assert not backoff.holds(START)

    def test_the_wait_doubles_up_to_five_minutes(self) -> None:
        """Each failure doubles the most that is waited."""
        backoff = Backoff(lambda: 1.0)
        for most in [1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 40]:
            backoff.fail(START)

            assert backoff.holds(later(most - 0.01))
            assert not backoff.holds(later(most))

    def test_success_forgets_how_often_it_failed(self) -> None:
        """The next failure waits as the first one did."""
        backoff = Backoff(lambda: 1.0)
        for _ in range(5):
            backoff.fail(START)
        backoff.succeed()
        backoff.fail(START)

        assert not backoff.holds(later(1))

    def test_the_wait_is_drawn_from_all_of_it(self) -> None:
        """Full jitter: a fleet that failed together does not come back together."""
        backoff = Backoff(iter([0.0, 0.25]).__next__)
        backoff.fail(START)
        assert not backoff.holds(START)
        backoff.fail(START)

        assert backoff.holds(later(0.49))
        assert not backoff.holds(later(0.5))

    @given(
        failures=st.integers(1, 50),
        drawn=st.floats(0, 1),
        retry_after=st.none() | seconds,
    )
    def test_the_servers_wish_is_the_least(self, failures, drawn, retry_after) -> None:
        """``Retry-After`` is kept, and capped at five minutes like all else."""
        backoff = Backoff(lambda: drawn)
        for _ in range(failures):
            backoff.fail(START, retry_after)
        least = min(retry_after or 0.0, BACKOFF_MOST)

        assert not backoff.holds(later(BACKOFF_MOST))
        if least > 0.01:
            assert backoff.holds(later(least - 0.01))

    def test_a_freeze_counts_as_waiting(self) -> None:
        """Time passed for the server too."""
        backoff = Backoff(lambda: 1.0)
        backoff.fail(START)

        assert not backoff.holds(Instant(START.monotonic + 0.1, START.wall + 600))


class TestDue:
    @pytest.mark.parametrize(
        ("age", "due"),
        [
            (0, Due.NOTHING),
            (15, Due.NOTHING),
            (15.01, Due.BACKGROUND),
            (60, Due.BACKGROUND),
            (60.01, Due.BEFORE_HANDLER),
            (1e6, Due.BEFORE_HANDLER),
        ],
    )
    def test_the_age_decides(self, age, due) -> None:
        """Fresh: nothing; stale: beside the function; too old: before it."""
        flags = freshness()
        flags.confirm(START)

        assert due is flags.due(later(age))
        assert age == pytest.approx(flags.age(later(age)))

    def test_without_flags_they_come_first(self) -> None:
        """Flags that were never confirmed have no age."""
        flags = freshness()

        assert flags.age(START) is None
        assert Due.BEFORE_HANDLER is flags.due(START)

    def test_without_max_age_they_are_never_fresh(self) -> None:
        """0 asks beside every invocation, or before it without a stale time."""
        for stale, due in ((45.0, Due.BACKGROUND), (0.0, Due.BEFORE_HANDLER)):
            flags = freshness(max_age=0.0, stale_while_revalidate=stale)
            flags.confirm(START)

            assert due is flags.due(later(0.001))

    def test_a_snapshot_is_served_at_any_age(self) -> None:
        """The first invocation does not wait; the server is asked beside it."""
        flags = freshness()
        flags.from_snapshot = True
        assert Due.BACKGROUND is flags.due(START)
        flags.confirm(START)

        assert not flags.from_snapshot
        assert Due.NOTHING is flags.due(START)

    @pytest.mark.parametrize("confirmed", [True, False])
    def test_a_failing_server_is_left_alone(self, confirmed) -> None:
        """However old the flags are; success ends it."""
        flags = freshness(lambda: 1.0)
        if confirmed:
            flags.confirm(START)
        flags.backoff.fail(later(100))

        assert Due.NOTHING is flags.due(later(100.5))
        assert Due.BEFORE_HANDLER is flags.due(later(101))
        flags.confirm(later(102))
        assert Due.NOTHING is flags.due(later(102))

    @given(
        max_age=st.floats(0.1, 1e5),
        stale=st.floats(0, 1e5),
        drawn=st.floats(0, 1),
        age=seconds,
    )
    def test_jitter_only_ever_shortens(self, max_age, stale, drawn, age) -> None:
        """No flag is older than promised, and a fleet does not ask in step."""
        flags = freshness(lambda: drawn, max_age=max_age, stale_while_revalidate=stale)
        flags.confirm(START)
        age = flags.age(later(age))
        fresh_for = max_age * (1 - JITTER * drawn)
        expected = Due.BEFORE_HANDLER
        if age <= fresh_for:
            expected = Due.NOTHING
        elif age <= max_age + stale:
            expected = Due.BACKGROUND

        assert expected is flags.due(later(age)) or age == pytest.approx(fresh_for)
        assert fresh_for <= max_age


class TestExpiry:
    def test_without_a_limit_nothing_expires(self) -> None:
        """Stale flags are better than defaults."""
        flags = freshness()
        flags.confirm(START)

        assert not flags.expires
        assert not flags.expired(later(1e9))

    def test_the_limit_counts_from_max_age(self) -> None:
        """``stale_if_error`` is RFC 5861's: seconds past freshness."""
        flags = freshness(stale_if_error=100.0)
        flags.confirm(START)

        assert flags.expires
        assert not flags.expired(later(115))
        assert flags.expired(later(115.01))

    def test_what_may_be_served_anyway_does_not_expire(self) -> None:
        """A shorter ``stale_if_error`` does not undo ``stale_while_revalidate``."""
        flags = freshness(stale_if_error=0.0)
        flags.confirm(START)

        assert not flags.expired(later(60))
        assert flags.expired(later(60.01))

    def test_flags_without_age_do_not_expire(self) -> None:
        """A snapshot was never confirmed; there is nothing better."""
        flags = freshness(stale_if_error=0.0)
        flags.from_snapshot = True

        assert not flags.expired(later(1e9))
