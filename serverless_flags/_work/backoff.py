"""How long to leave a failing server alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._clock import Instant

BACKOFF_FIRST = 1.0
BACKOFF_MOST = 300.0
OVERRUN = 0.1
"""Seconds past its deadline in which a request that no freeze cut off has ended."""


def uniform_random() -> float:
    """Return a number in [0, 1) from the kernel: copies of a process must differ."""
    return int.from_bytes(os.urandom(7), "big") / 2**56


class Backoff:
    """How long to leave a failing server alone: full jitter, doubling to 5 minutes."""

    def __init__(self, uniform: Callable[[], float] = uniform_random) -> None:
        self._uniform = uniform
        self._failures = 0
        self._since: Instant | None = None
        self._seconds = 0.0

    def fail(self, moment: Instant, retry_after: float | None = None) -> None:
        """BoundedWait longer than last time; at least ``retry_after`` seconds, if given."""
        most = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(self._failures, 30))
        asked = min(retry_after or 0.0, BACKOFF_MOST)
        self._failures += 1
        self._seconds = max(self._uniform() * most, asked)
        self._since = moment

    def succeed(self) -> None:
        """Forget the failures."""
        self._failures = 0
        self._since = None

    def holds(self, moment: Instant) -> bool:
        """Whether the server is to be left alone now."""
        return self._since is not None and moment.since(self._since) < self._seconds
