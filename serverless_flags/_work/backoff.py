"""Back-off: how long to send no requests to a failing server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._clock import Instant

BACKOFF_FIRST = 1.0
BACKOFF_MOST = 300.0
"""Seconds: the upper bound after the first failure, and after many."""
OVERRUN = 0.1
"""Seconds after its deadline by which a request has ended, unless the platform froze
the process meanwhile."""


def uniform_random() -> float:
    """Return a random number in [0, 1) from the kernel, so that forks differ."""
    return int.from_bytes(os.urandom(7), "big") / 2**56


class Backoff:
    """Exponential back-off with full jitter, from 1 second up to 5 minutes."""

    def __init__(self, uniform: Callable[[], float] = uniform_random) -> None:
        self._uniform = uniform
        self._failures = 0
        self._since: Instant | None = None
        self._seconds = 0.0

    def fail(self, moment: Instant, retry_after: float | None = None) -> None:
        """
        Record a failure: back off, up to twice as long as after the failure before.

        Args:
            moment: when the request failed.
            retry_after: seconds that the server asked for, a lower bound; None: none.
        """
        limit = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(self._failures, 30))
        requested = min(retry_after or 0.0, BACKOFF_MOST)
        self._failures += 1
        self._seconds = max(self._uniform() * limit, requested)
        self._since = moment

    def succeed(self) -> None:
        """Record a success, which ends the back-off."""
        self._failures = 0
        self._since = None

    def holds(self, moment: Instant) -> bool:
        """Whether no request may be sent at this moment."""
        return self._since is not None and moment.since(self._since) < self._seconds
