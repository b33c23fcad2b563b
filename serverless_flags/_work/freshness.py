"""Decide from the age of the flags whether and when to refresh them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._clock import Instant
from serverless_flags._work.backoff import Backoff, uniform_random

if TYPE_CHECKING:
    from collections.abc import Callable


JITTER = 0.1
"""The largest fraction by which jitter shortens ``max_age``, to spread a fleet."""


class Due:
    """When to refresh, for an invocation that starts now; constants."""

    NOTHING = "nothing"
    """No refresh: the flags are fresh, or a back-off lasts."""
    BACKGROUND = "background"
    """The flags are stale: serve them and refresh in parallel."""
    BEFORE_HANDLER = "before_handler"
    """The flags are too old to serve: refresh before the handler runs."""


class Freshness:
    """The age of the flags, and when they have to be refreshed."""

    def __init__(
        self,
        *,
        max_age: float,
        stale_while_revalidate: float,
        stale_if_error: float,
        uniform: Callable[[], float] = uniform_random,
    ) -> None:
        self._max_age = max_age
        self._uniform = uniform
        self._fresh_for = max_age
        self.served_for = max_age + stale_while_revalidate
        """Age in seconds up to which flags are served without waiting for a refresh."""
        self.expires = stale_if_error < float("inf")
        """Whether flags may grow too old to be served at all."""
        self._kept_for = max_age + max(stale_while_revalidate, stale_if_error)
        self.confirmed: Instant | None = None
        """When the request was sent whose answer last confirmed the flags."""
        self.from_snapshot = False
        """Whether the flags are a snapshot's, which is served at any age."""
        self._fresh_until: Instant | None = None
        """The flags are fresh as long as both clocks are before this moment."""
        self.backoff = Backoff(uniform)

    def confirm(self, sent: Instant) -> None:
        """Record that the answer to a request sent at ``sent`` confirmed the flags."""
        self.confirmed = sent
        self.from_snapshot = False
        self._fresh_for = self._max_age * (1.0 - JITTER * self._uniform())
        fresh_for = self._fresh_for
        self._fresh_until = Instant(sent.monotonic + fresh_for, sent.wall + fresh_for)
        self.backoff.succeed()

    def inherit(self, confirmed: Instant | None) -> None:
        """Begin with flags confirmed at a moment; None: those of a snapshot."""
        self.confirmed = confirmed
        self.from_snapshot = confirmed is None
        self._fresh_until = None

    def forget(self) -> None:
        """Record that there are no flags any more."""
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
            return Due.BACKGROUND
        return Due.BEFORE_HANDLER

    def expired(self, moment: Instant) -> bool:
        """Whether ``stale_if_error`` forbids serving the flags any longer."""
        age = self.age(moment)
        return age is not None and age > self._kept_for
