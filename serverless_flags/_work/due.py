"""Start the work that is due, and decide what an invocation waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask, Completion
from serverless_flags._clock import Instant, ticking
from serverless_flags._work.freshness import Due

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._settings import Settings
    from serverless_flags._work.flag_request import Refresh
    from serverless_flags._work.flush import Flush, Flusher
    from serverless_flags._work.refresh import Refresher

    Remaining = Callable[[], float | None]
    """Seconds left of an invocation; called only when the session has to wait."""

WAIT_AT_END = 0.25
"""Seconds that an invocation waits at its end for work it started in parallel."""

OUTSIDE_CHECK_INTERVAL = 0.05
"""Seconds between checks for due work outside invocations, where a loop may evaluate
thousands of flags a second."""

MARGIN = 0.05
"""Seconds of an invocation's remaining time that no wait uses up."""


def _nothing() -> None:
    """Do nothing."""


class BoundedWait:
    """
    Something to wait for, and for how long.

    Args:
        what: what to wait for.
        seconds: the longest wait.
        then: called afterwards, whether or not the wait timed out.
    """

    __slots__ = ("seconds", "then", "what")

    def __init__(
        self, what: Completion, seconds: float, then: Callable[[], None] = _nothing
    ) -> None:
        self.what, self.seconds, self.then = what, seconds, then


class Plan:
    """
    The work that one invocation has started.

    Args:
        first: what to wait for before the user's function runs.
        background: what runs in parallel with the user's function.
    """

    __slots__ = ("background", "first")

    def __init__(
        self, first: BoundedWait | None = None, background: Completion | None = None
    ) -> None:
        self.first, self.background = first, background


NOTHING_DUE = Plan()


class DueWork:
    """Starts refreshes and flushes of one process when an invocation finds them due."""

    def __init__(
        self,
        refresher: Refresher,
        flusher: Flusher,
        settings: Settings,
        clock: Callable[[], Instant],
        *,
        runs_between_invocations: bool,
    ) -> None:
        self._refresher, self.flusher = refresher, flusher
        self.requests = refresher.under_way
        """Requests for flags in flight; empty most of the time."""
        self._settings = settings
        self._clock = clock
        self._runs_between_invocations = runs_between_invocations
        """Whether the process also runs between invocations: no work is suspended."""
        self._expires = refresher.freshness.expires
        self._evaluated_outside = False
        """Whether flags were evaluated outside invocations since the last flush."""
        self._tick = ticking(clock)
        self._next_check = -1.0
        """When to check again for due work outside invocations."""

    def begin(self, remaining: Remaining) -> Plan:
        """Start the work that is due when an invocation starts."""
        moment = self._clock()
        refresher, flusher = self._refresher, self.flusher
        if self.requests:
            refresher.note_awake(moment)
        due, flush = refresher.due(moment), flusher.due(moment)
        if due is Due.NOTHING:
            if self._expires:
                refresher.forget_expired(moment)
            return Plan(background=flusher.begin()) if flush else NOTHING_DUE
        refresh, background = self._refresh(moment, flush=flush)
        if due is Due.BACKGROUND:
            return Plan(background=background)
        seconds = self._settings.refresh_timeout - moment.since(refresh.began)
        wait = BoundedWait(
            refresh, within(seconds, remaining), lambda: self._after_wait(refresh)
        )
        return Plan(wait, background)

    def note_outside(self) -> bool:
        """Record an evaluation outside invocations; return whether work may be due."""
        self._evaluated_outside = True
        tick = self._tick()
        if tick < self._next_check:
            return False
        self._next_check = tick + OUTSIDE_CHECK_INTERVAL
        return True

    def begin_outside(self) -> bool:
        """
        Start the work that is due outside invocations; nothing waits for it.

        Returns:
            Whether a flush was due.
        """
        moment = self._clock()
        flush = self.flusher.due_outside(moment)
        if self._refresher.due(moment) is not Due.NOTHING:
            self._refresh(moment, flush=flush)
        elif flush:
            self.flusher.begin()
        if self._expires:
            self._refresher.forget_expired(moment)
        return flush

    def _after_wait(self, refresh: Refresh) -> None:
        """Record a wait that timed out; the flags may have expired during it."""
        self._refresher.note_timed_out_wait(refresh)
        self._refresher.forget_expired(self._clock())

    def _refresh(
        self, moment: Instant, *, flush: bool
    ) -> tuple[Refresh, Completion | None]:
        """Refresh, then flush over the same connection if a flush is due."""

        def run(refresh: Refresh) -> BackgroundTask:
            def work() -> None:
                self._refresher.run(refresh)
                if flush:
                    self.flusher.flush_in_turn()

            return BackgroundTask(work).start()

        refresh, task = self._refresher.begin(moment, run)
        if task is None and flush:
            return refresh, self.flusher.begin()
        return refresh, task

    def finish(
        self, plan: Plan, remaining: Remaining, *, evaluated: bool, terminating: bool
    ) -> BoundedWait | None:
        """
        Return what an invocation has to wait for at its end, if anything.

        Args:
            plan: what `begin` returned.
            remaining: the seconds that are left of the invocation.
            evaluated: whether flags were evaluated in it.
            terminating: whether the platform has sent its shutdown notice.
        """
        if self.requests:
            self._refresher.note_awake(self._clock())
        flusher = self.flusher
        if terminating or (flusher.interval == 0 and flusher.due_at_end()):
            flush = self._flush_at_end(evaluated=evaluated)
            if flush is not None:
                return BoundedWait(
                    flush, within(self._settings.flush_timeout, remaining)
                )
        if (
            self._runs_between_invocations
            or plan.background is None
            or plan.background.ended
        ):
            return None
        if plan.first is not None and not plan.first.what.ended:
            return None  # the function has waited for it already
        seconds = min(WAIT_AT_END, self._settings.refresh_timeout)
        return BoundedWait(plan.background, within(seconds, remaining))

    def _flush_at_end(self, *, evaluated: bool) -> Flush | None:
        """Start a flush, unless nothing has been counted since the last one."""
        flusher = self.flusher
        if not (evaluated or self._evaluated_outside or flusher.counts.waiting):
            return None
        self._evaluated_outside = False
        return flusher.begin()


def within(seconds: float, remaining: Remaining) -> float:
    """Return ``seconds``, capped to the time that the invocation has left."""
    left = remaining()
    return seconds if left is None else min(seconds, max(0.0, left - MARGIN))
