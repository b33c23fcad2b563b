"""How often evaluations outside invocations check for due work."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from serverless_flags._clock import now, ticking
from serverless_flags._work.due import OUTSIDE_CHECK_INTERVAL, DueWork


@pytest.fixture(name="duties")
def _duties(clock):
    refresher = SimpleNamespace(under_way={}, freshness=SimpleNamespace(expires=False))
    return DueWork(
        refresher, SimpleNamespace(), None, clock, runs_between_invocations=False
    )


def test_many_evaluations_make_one_check(duties, clock) -> None:
    """A loop of evaluations checks at most every `OUTSIDE_CHECK_INTERVAL` seconds."""
    asked = [duties.note_outside() for _ in range(3)]
    clock.advance(OUTSIDE_CHECK_INTERVAL)
    later = [duties.note_outside() for _ in range(2)]

    assert [True, False, False] == asked
    assert [True, False] == later


def test_only_the_monotonic_clock_is_read() -> None:
    """Each evaluation outside invocations reads one clock."""
    assert time.monotonic is ticking(now)
