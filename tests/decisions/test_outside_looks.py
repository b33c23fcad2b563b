"""How often questions outside invocations look for what is due."""

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


def test_one_look_for_many_questions(duties, clock) -> None:
    """A loop that asks all the time looks once in a while."""
    asked = [duties.note_outside() for _ in range(3)]
    clock.advance(OUTSIDE_CHECK_INTERVAL)
    later = [duties.note_outside() for _ in range(2)]

    assert [True, False, False] == asked
    assert [True, False] == later


def test_the_monotonic_clock_alone_is_read() -> None:
    """Each question would pay for both."""
    assert time.monotonic is ticking(now)
