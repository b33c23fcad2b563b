"""Do something once, in the background, and try again after a failure."""

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
    Make one attempt at a time; threads may wait for it, unless it waits for them.

    The attempt runs on a background thread. An exception that a runtime raises on a
    waiting thread interrupts only the wait.

    Args:
        clock: returns both clocks.
    """

    def __init__(self, clock: Callable[[], Instant]) -> None:
        self.error: str | None = None
        """Why the last attempt failed."""
        self._clock = clock
        self._begin_lock = threading.RLock()  # a signal handler may call `begin` too
        self._run_lock = threading.Lock()
        self._attempt: BackgroundTask | None = None
        self._thread: int | None = None
        self._backoff = Backoff()
        self._waiting: dict[int, BackgroundTask] = {}

    @property
    def under_way(self) -> bool:
        """Whether an attempt is being made."""
        if self._thread is not None:  # even if `begin` was interrupted
            return True
        return self._attempt is not None and not self._attempt.ended

    @property
    def open(self) -> bool:
        """Whether an attempt is under way or may begin now."""
        return self.under_way or not self._backoff.holds(self._clock())

    def begin(self, work: Callable[[], object]) -> BackgroundTask | None:
        """Return the attempt under way, or begin one; None during the back-off."""
        with self._begin_lock:
            attempt = self._attempt
            if attempt is not None and not attempt.ended:
                return attempt
            if self._backoff.holds(self._clock()):
                return None
            self._attempt = BackgroundTask(lambda: self._run(work)).start()
            return self._attempt

    def _run(self, work: Callable[[], object]) -> None:
        with self._run_lock:  # an attempt whose `begin` was interrupted may still run
            self._thread = get_ident()
            try:
                work()
            finally:
                self._thread = None

    def fail(self, error: str) -> None:
        """Note why an attempt failed; the next one is made after a back-off."""
        self.error = error
        self._backoff.fail(self._clock())

    def wait(self, attempt: BackgroundTask, timeout: float) -> None:
        """Wait for an attempt, unless this thread must not wait for it."""
        thread = get_ident()
        if self.must_not_wait(thread):
            return
        self._waiting[thread] = attempt
        try:
            attempt.wait(timeout)
        finally:
            self._waiting.pop(thread, None)

    def must_not_wait(self, thread: int) -> bool:
        """Whether a thread makes the attempt, or already waits for it."""
        attempt = self._waiting.get(thread)
        if attempt is not None and not attempt.ended:
            return True
        return runs_task(thread)
