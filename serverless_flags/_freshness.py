"""When flags are fresh, when to ask for new ones, when to leave a server alone."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

BACKOFF_FIRST = 1.0
BACKOFF_MOST = 300.0
OVERRUN = 0.1
"""Seconds past its deadline in which a request that no freeze cut off has ended."""
JITTER = 0.1
"""The largest part of ``max_age`` that jitter takes away, to spread a fleet."""


class Instant(NamedTuple):
    """One moment on both clocks, in seconds."""

    monotonic: float
    wall: float

    def since(self, earlier: "Instant") -> float:
        """
        Return the seconds since ``earlier``, by the clock that says more.

        A frozen machine may stop the monotonic clock; the wall clock may be set back.
        """
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)


def now() -> Instant:
    """Read both clocks."""
    # not Instant(...), which takes twice as long: each invocation reads them
    return _new(Instant, (time.monotonic(), time.time()))


_new = tuple.__new__


def ticking(clock: Callable[[], Instant]) -> Callable[[], float]:
    """Return the monotonic clock of ``clock`` alone, which costs half of both."""
    return time.monotonic if clock is now else lambda: clock().monotonic


def _uniform() -> float:
    """Return a number in [0, 1) from the kernel: copies of a process must differ."""
    return int.from_bytes(os.urandom(7), "big") / 2**56


class Due:
    """What an invocation that starts now does about the flags; constants."""

    NOTHING = "nothing"
    """They are fresh, or the server is left alone."""
    BESIDE = "beside"
    """They are stale: serve what we have, refresh in parallel."""
    FIRST = "first"
    """They are too old to serve: refresh before the handler."""


class Backoff:
    """How long to leave a failing server alone: full jitter, doubling to 5 minutes."""

    def __init__(self, uniform: Callable[[], float] = _uniform) -> None:
        self._uniform = uniform
        self._failures = 0
        self._since: Instant | None = None
        self._seconds = 0.0

    def fail(self, moment: Instant, retry_after: float | None = None) -> None:
        """Wait longer than last time; at least ``retry_after`` seconds, if given."""
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


class Freshness:
    """The age of the flags and what it demands."""

    def __init__(
        self,
        *,
        max_age: float,
        stale_while_revalidate: float,
        stale_if_error: float,
        uniform: Callable[[], float] = _uniform,
    ) -> None:
        self._max_age = max_age
        self._uniform = uniform
        self._fresh_for = max_age
        self.served_for = max_age + stale_while_revalidate
        """Seconds up to which flags are served without asking first."""
        self.expires = stale_if_error < float("inf")
        """Whether flags may grow too old to be served at all."""
        self._kept_for = max_age + max(stale_while_revalidate, stale_if_error)
        self.confirmed: Instant | None = None
        """When the request was sent whose answer last confirmed the flags."""
        self.from_snapshot = False
        """Whether the flags are a snapshot's, which is served at any age."""
        self._fresh_until: Instant | None = None
        """Before it, on both clocks, nothing has to be worked out."""
        self.backoff = Backoff(uniform)

    def confirm(self, sent: Instant) -> None:
        """Note that the answer to a request sent at ``sent`` confirmed the flags."""
        self.confirmed = sent
        self.from_snapshot = False
        self._fresh_for = self._max_age * (1.0 - JITTER * self._uniform())
        fresh_for = self._fresh_for
        self._fresh_until = Instant(sent.monotonic + fresh_for, sent.wall + fresh_for)
        self.backoff.succeed()

    def inherit(self, confirmed: Instant | None) -> None:
        """Begin with flags that were confirmed then; a snapshot's never were."""
        self.confirmed = confirmed
        self.from_snapshot = confirmed is None
        self._fresh_until = None

    def forget(self) -> None:
        """Note that there are no flags any more."""
        self.confirmed = None
        self.from_snapshot = False
        self._fresh_until = None

    def age(self, moment: Instant) -> float | None:
        """Return the seconds since the server confirmed the flags, if it ever did."""
        return None if self.confirmed is None else moment.since(self.confirmed)

    def due(self, moment: Instant) -> str:
        """Decide for an invocation that starts at ``moment``; return one of `Due`."""
        until = self._fresh_until
        if (
            until is not None
            and moment.monotonic < until.monotonic
            and moment.wall < until.wall
        ):
            return Due.NOTHING
        age = self.age(moment)
        if age is not None and age <= self._fresh_for and self._max_age > 0:
            return Due.NOTHING
        if self.backoff.holds(moment):
            return Due.NOTHING
        if self.from_snapshot or (age is not None and age <= self.served_for):
            return Due.BESIDE
        return Due.FIRST

    def expired(self, moment: Instant) -> bool:
        """Whether ``stale_if_error`` forbids serving the flags any longer."""
        age = self.age(moment)
        return age is not None and age > self._kept_for
