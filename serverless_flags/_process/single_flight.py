"""Something that is done once, in the background, and tried again when it failed."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask, runs_task
from serverless_flags._work.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._clock import Instant


class SingleFlight:
    """
    One attempt at a time; threads wait for it, but never one that it waits for.

    The work runs on a thread of ours, so that an exception which arrives on a thread
    of the user's ends the waiting alone.

    Args:
        clock: returns both clocks.
    """

    def __init__(self, clock: Callable[[], Instant]) -> None:
        self.error: str | None = None
        """Why the last attempt failed."""
        self._clock = clock
        self._gate = threading.RLock()  # a signal handler may come here too
        self._one = threading.Lock()
        self._attempt: BackgroundTask | None = None
        self._thread: int | None = None
        self._backoff = Backoff()
        self._waiting: dict[int, BackgroundTask] = {}

    @property
    def under_way(self) -> bool:
        """Whether an attempt is being made."""
        if self._thread is not None:  # `begin` may not have come to note it
            return True
        return self._attempt is not None and not self._attempt.ended

    @property
    def open(self) -> bool:
        """Whether there is an attempt to wait for, or to make."""
        return self.under_way or not self._backoff.holds(self._clock())

    def begin(self, work: Callable[[], object]) -> BackgroundTask | None:
        """Begin an attempt unless one is under way; None while it is backed off."""
        with self._gate:
            attempt = self._attempt
            if attempt is not None and not attempt.ended:
                return attempt
            if self._backoff.holds(self._clock()):
                return None
            self._attempt = BackgroundTask(lambda: self._run(work)).start()
            return self._attempt

    def _run(self, work: Callable[[], object]) -> None:
        with self._one:  # an attempt that nothing waits for may be under way
            self._thread = get_ident()
            try:
                work()
            finally:
                self._thread = None

    def fail(self, error: str) -> None:
        """Note why an attempt failed: the next one is made after a back-off."""
        self.error = error
        self._backoff.fail(self._clock())

    def wait(self, attempt: BackgroundTask, timeout: float) -> None:
        """Wait for an attempt, on a thread that it does not wait for."""
        thread = get_ident()
        if self.must_not_wait(thread):
            return
        self._waiting[thread] = attempt
        try:
            attempt.wait(timeout)
        finally:
            self._waiting.pop(thread, None)

    def must_not_wait(self, thread: int) -> bool:
        """Whether a thread makes the attempt, or waits for it in an outer frame."""
        attempt = self._waiting.get(thread)
        if attempt is not None and not attempt.ended:
            return True
        return runs_task(thread)
