"""What an invocation begins, and what it waits for before and after the function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._errand import Errand, Waitable
from serverless_flags._freshness import NOTHING, Due, Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._config import Settings
    from serverless_flags._flush import Flusher
    from serverless_flags._refresh import Refresh, Refresher

    Remaining = Callable[[], float | None]
    """Seconds that are left of an invocation; asked only where something waits."""

WAIT_AT_END = 0.25
"""Seconds an invocation waits at its end for what it began in parallel."""

MARGIN = 0.05
"""Seconds of an invocation's remaining time that are never waited away."""


def _nothing() -> None:
    """Do nothing."""


class Wait:
    """
    Something to wait for.

    Args:
        what: it ends once.
        seconds: how long at most.
        then: to be called afterwards, however the waiting ended.
    """

    __slots__ = ("seconds", "then", "what")

    def __init__(
        self, what: Waitable, seconds: float, then: Callable[[], None] = _nothing
    ) -> None:
        self.what, self.seconds, self.then = what, seconds, then


class Plan:
    """
    What one invocation has begun.

    Args:
        first: what the user's function waits for.
        beside: what runs in parallel with it.
    """

    __slots__ = ("beside", "first")

    def __init__(
        self, first: Wait | None = None, beside: Waitable | None = None
    ) -> None:
        self.first, self.beside = first, beside


NOTHING_DUE = Plan()


class Duties:
    """
    Refreshing and flushing around the invocations of one process.

    Args:
        refresher: knows the age of the flags.
        flusher: knows the age of the counts.
        settings: say how long an invocation may wait.
        clock: returns both clocks.
        goes_on: whether what an invocation began gets done after it: no freeze follows.
    """

    def __init__(
        self,
        refresher: Refresher,
        flusher: Flusher,
        settings: Settings,
        clock: Callable[[], Instant],
        *,
        goes_on: bool,
    ) -> None:
        self._refresher = refresher
        self._flusher = flusher
        self._settings = settings
        self._clock = clock
        self._goes_on = goes_on
        self._expires = refresher.freshness.expires

    def begin(self, remaining: Remaining) -> Plan:
        """Begin what is due for an invocation that starts now."""
        moment = self._clock()
        due, flush = self._refresher.due(moment), self._flusher.due(moment)
        if due is NOTHING:
            if self._expires:
                self._refresher.forget_expired(moment)
            return Plan(beside=self._start(None)) if flush else NOTHING_DUE
        refresh, mine = self._refresher.claim(moment)
        beside = self._start(refresh if mine else None, flush=flush)
        if due is Due.BESIDE:
            return Plan(beside=beside)
        seconds = self._settings.refresh_timeout - moment.since(refresh.began)
        wait = Wait(refresh, within(seconds, remaining), self._look_again)
        return Plan(wait, beside)

    def _look_again(self) -> None:
        """After waiting in vain the flags may be too old even for an error."""
        self._refresher.forget_expired(self._clock())

    def _start(self, refresh: Refresh | None, *, flush: bool = True) -> Errand | None:
        """Refresh and flush one after the other, over one connection."""
        if refresh is None and not flush:
            return None

        def work() -> None:
            if refresh is not None:
                self._refresher.run(refresh)
            if flush:
                self._flusher.flush(self._settings.request_timeout)

        return Errand(work).start()

    def finish(
        self, plan: Plan, remaining: Remaining, *, terminating: bool
    ) -> Wait | None:
        """Say what an invocation has to wait for at its end."""
        if terminating or self._flusher.due_at_end():
            flush = self._start_flush()
            if flush is not None:
                return Wait(flush, within(self._settings.flush_timeout, remaining))
        if self._goes_on or plan.beside is None or plan.beside.ended:
            return None
        if plan.first is not None and not plan.first.what.ended:
            return None  # the function has waited for it already
        seconds = min(WAIT_AT_END, self._settings.refresh_timeout)
        return Wait(plan.beside, within(seconds, remaining))

    def _start_flush(self) -> Errand | None:
        flight = self._flusher.collect()
        if flight is None:
            return None
        limit = self._settings.request_timeout
        return Errand(lambda: self._flusher.send(flight, limit)).start()


def within(seconds: float, remaining: Remaining) -> float:
    """Return ``seconds``, or what is left of an invocation's time if that is less."""
    left = remaining()
    return seconds if left is None else min(seconds, max(0.0, left - MARGIN))
