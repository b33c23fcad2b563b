"""What an invocation begins, and what it waits for before and after the function."""

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
    """Seconds that are left of an invocation; asked only where something waits."""

WAIT_AT_END = 0.25
"""Seconds an invocation waits at its end for what it began in parallel."""

OUTSIDE_LOOKS = 0.05
"""Seconds from one look for what is due to the next, outside invocations: a loop there
may ask thousands of flags a second."""

MARGIN = 0.05
"""Seconds of an invocation's remaining time that are never waited away."""


def _nothing() -> None:
    """Do nothing."""


class BoundedWait:
    """
    Something to wait for.

    Args:
        what: it ends once.
        seconds: how long at most.
        then: to be called afterwards, however the waiting ended.
    """

    __slots__ = ("seconds", "then", "what")

    def __init__(
        self, what: Completion, seconds: float, then: Callable[[], None] = _nothing
    ) -> None:
        self.what, self.seconds, self.then = what, seconds, then


class Plan:
    """
    What one invocation has begun.

    Args:
        first: what the user's function waits for.
        background: what runs in parallel with it.
    """

    __slots__ = ("background", "first")

    def __init__(
        self, first: BoundedWait | None = None, background: Completion | None = None
    ) -> None:
        self.first, self.background = first, background


NOTHING_DUE = Plan()


class DueWork:
    """What invocations of one process do for its flags and counts."""

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
        """Requests for flags that wait for their answer; empty most of the time."""
        self._settings = settings
        self._clock = clock
        self._runs_between_invocations = runs_between_invocations
        """Whether the process runs between invocations too: nothing cuts work off."""
        self._expires = refresher.freshness.expires
        self._evaluated_outside = False
        """Whether flags were evaluated outside invocations since the last flush."""
        self._tick = ticking(clock)
        self._look_at = -1.0
        """When to look again for what is due, outside invocations."""

    def begin(self, remaining: Remaining) -> Plan:
        """Begin what is due for an invocation that starts now."""
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
            refresh, within(seconds, remaining), lambda: self._look_again(refresh)
        )
        return Plan(wait, background)

    def note_outside(self) -> bool:
        """Note an evaluation outside invocations; return whether to `begin_outside`."""
        self._evaluated_outside = True
        tick = self._tick()
        if tick < self._look_at:
            return False
        self._look_at = tick + OUTSIDE_LOOKS
        return True

    def begin_outside(self) -> bool:
        """
        Begin what is due though no invocation begins: nothing waits for it.

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

    def _look_again(self, refresh: Refresh) -> None:
        """After waiting in vain the flags may be too old even for an error."""
        self._refresher.note_timed_out_wait(refresh)
        self._refresher.forget_expired(self._clock())

    def _refresh(
        self, moment: Instant, *, flush: bool
    ) -> tuple[Refresh, Completion | None]:
        """Refresh and flush one after the other, over one connection."""

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
        Say what an invocation has to wait for at its end.

        Args:
            plan: what `begin` returned.
            remaining: the seconds that are left of the invocation.
            evaluated: whether flags were evaluated in it.
            terminating: whether the platform has announced the end.
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
        """Begin a flush, unless nothing has been counted since the last one."""
        flusher = self.flusher
        if not (evaluated or self._evaluated_outside or flusher.counts.waiting):
            return None
        self._evaluated_outside = False
        return flusher.begin()


def within(seconds: float, remaining: Remaining) -> float:
    """Return ``seconds``, or what is left of an invocation's time if that is less."""
    left = remaining()
    return seconds if left is None else min(seconds, max(0.0, left - MARGIN))
