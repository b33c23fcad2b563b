"""When flags are fresh, stale or expired, and how long a back-off lasts."""

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
    def test_the_clock_that_advanced_further_counts(self) -> None:
        """A freeze stops the monotonic clock, and a wall clock may be set back."""
        frozen = Instant(START.monotonic + 1, START.wall + 600)
        set_back = Instant(START.monotonic + 5, START.wall - 3600)

        assert 600 == frozen.since(START)
        assert 5 == set_back.since(START)

    def test_now_reads_both_clocks(self) -> None:
        """`now` returns the monotonic time and the wall time of the process."""
        before = Instant(time.monotonic(), time.time())
        moment = now()

        assert before.monotonic <= moment.monotonic <= time.monotonic()
        assert before.wall - 1 <= moment.wall <= time.time() + 1


class TestBackoff:
    def test_without_a_recent_failure_there_is_no_back_off(self) -> None:
        """A server that never failed, or has recovered, is asked."""
        backoff = Backoff(lambda: 1.0)
        assert not backoff.holds(START)
        backoff.fail(START)
        assert backoff.holds(START)
        backoff.succeed()

        assert not backoff.holds(START)

    def test_the_back_off_doubles_up_to_five_minutes(self) -> None:
        """Each failure doubles the upper bound of the back-off, up to 5 minutes."""
        backoff = Backoff(lambda: 1.0)
        for most in [1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 40]:
            backoff.fail(START)

            assert backoff.holds(later(most - 0.01))
            assert not backoff.holds(later(most))

    def test_success_resets_the_back_off(self) -> None:
        """The back-off after the next failure is as short as after the first one."""
        backoff = Backoff(lambda: 1.0)
        for _ in range(5):
            backoff.fail(START)
        backoff.succeed()
        backoff.fail(START)

        assert not backoff.holds(later(1))

    def test_the_back_off_has_full_jitter(self) -> None:
        """Processes that failed at the same time do not retry at the same time."""
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
    def test_retry_after_is_a_lower_bound(self, failures, drawn, retry_after) -> None:
        """``Retry-After`` is respected, but capped at five minutes."""
        backoff = Backoff(lambda: drawn)
        for _ in range(failures):
            backoff.fail(START, retry_after)
        least = min(retry_after or 0.0, BACKOFF_MOST)

        assert not backoff.holds(later(BACKOFF_MOST))
        if least > 0.01:
            assert backoff.holds(later(least - 0.01))

    def test_a_freeze_counts_towards_the_back_off(self) -> None:
        """Time during a freeze counts, because it passes for the server too."""
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
    def test_the_age_decides_when_to_refresh(self, age, due) -> None:
        """Fresh: no refresh; stale: in the background; too old: before the handler."""
        flags = freshness()
        flags.confirm(START)

        assert due is flags.due(later(age))
        assert age == pytest.approx(flags.age(later(age)))

    def test_without_flags_the_refresh_comes_first(self) -> None:
        """Flags that were never confirmed have no age, so the handler waits."""
        flags = freshness()

        assert flags.age(START) is None
        assert Due.BEFORE_HANDLER is flags.due(START)

    def test_with_max_age_zero_flags_are_never_fresh(self) -> None:
        """Each invocation refreshes, in the background if a stale time is allowed."""
        for stale, due in ((45.0, Due.BACKGROUND), (0.0, Due.BEFORE_HANDLER)):
            flags = freshness(max_age=0.0, stale_while_revalidate=stale)
            flags.confirm(START)

            assert due is flags.due(later(0.001))

    def test_a_snapshot_is_served_at_any_age(self) -> None:
        """The first invocation does not wait; the refresh runs in the background."""
        flags = freshness()
        flags.from_snapshot = True
        assert Due.BACKGROUND is flags.due(START)
        flags.confirm(START)

        assert not flags.from_snapshot
        assert Due.NOTHING is flags.due(START)

    @pytest.mark.parametrize("confirmed", [True, False])
    def test_nothing_is_due_during_a_back_off(self, confirmed) -> None:
        """A back-off prevents refreshes at any age of the flags; success ends it."""
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
    def test_jitter_only_shortens_max_age(self, max_age, stale, drawn, age) -> None:
        """Flags never get older than configured, and a fleet's refreshes spread out."""
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
    def test_without_a_limit_flags_never_expire(self) -> None:
        """By default stale flags are served rather than defaults."""
        flags = freshness()
        flags.confirm(START)

        assert not flags.expires
        assert not flags.expired(later(1e9))

    def test_stale_if_error_counts_from_max_age(self) -> None:
        """``stale_if_error`` counts from the end of freshness, as in RFC 5861."""
        flags = freshness(stale_if_error=100.0)
        flags.confirm(START)

        assert flags.expires
        assert not flags.expired(later(115))
        assert flags.expired(later(115.01))

    def test_flags_within_stale_while_revalidate_do_not_expire(self) -> None:
        """A shorter ``stale_if_error`` does not limit ``stale_while_revalidate``."""
        flags = freshness(stale_if_error=0.0)
        flags.confirm(START)

        assert not flags.expired(later(60))
        assert flags.expired(later(60.01))

    def test_flags_without_an_age_do_not_expire(self) -> None:
        """Flags of a snapshot were never confirmed, so they cannot expire."""
        flags = freshness(stale_if_error=0.0)
        flags.from_snapshot = True

        assert not flags.expired(later(1e9))
