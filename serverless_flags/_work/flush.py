"""
Send the counts to the server: periodically, and what is left at the end.

Counts are drained on the thread that sends them, never on a thread that runs the
user's function: there, a runtime may raise an exception between any two lines.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask
from serverless_flags._protocols import Outcome, Sent
from serverless_flags._work.backoff import OVERRUN, Backoff
from serverless_flags._work.counts import Bucket, PendingCounts, evaluations, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._clock import Instant
    from serverless_flags._log import ProblemLog
    from serverless_flags._protocols import StateClient, Upstream

PROBLEM = "flush"
OUTSIDE = 1.0
"""Seconds between flushes outside invocations when ``flush_interval`` is 0."""


class Delivery:
    """One bucket in flight."""

    def __init__(self, began: Instant) -> None:
        self.began = began
        self.bucket: Bucket = {}
        self.given_up: int | None = None
        """Evaluations recorded as unknown if it was given up before its answer."""
        self.answered = threading.Event()
        self._recorded = threading.Lock()

    def record_once(self) -> bool:
        """Return True to the first caller, which has to record the outcome."""
        return self._recorded.acquire(blocking=False)


class Flush(BackgroundTask):
    """One flush in the background; it drains the counts once it is its turn."""

    drained = False
    """Whether it has drained the counts, so that later ones need another flush."""


class Flusher:
    """Sends the counts of one process to the server."""

    def __init__(
        self,
        upstream: Upstream | None,
        *,
        flush_timeout: float,
        request_timeout: float,
        clock: Callable[[], Instant],
        problem_log: ProblemLog,
        observe: Callable[[str, float], None],
        backoff: Backoff | None = None,
    ) -> None:
        self.counts = PendingCounts()
        self.interval = 0.0
        """Seconds between flushes; 0: at the end of every invocation."""
        self.last_error: str | None = None
        self.backoff = backoff or Backoff()
        self._upstream = upstream
        self._flush_timeout = flush_timeout
        self._request_timeout = request_timeout
        self._clock = clock
        self._problem_log = problem_log
        self._observe = observe
        self._client: StateClient | None = None
        self._last = clock()
        self._in_flight: set[Delivery] = set()
        self._lock = threading.RLock()
        self._turn = threading.Lock()
        self._next: Flush | None = None

    def adopt(self, client: StateClient) -> None:
        """Send the counts of ``client`` from now on."""
        self._client = client

    def due(self, moment: Instant) -> bool:
        """Whether an invocation that starts now should start a background flush."""
        interval, last = self.interval, self._last
        if interval == 0 or (  # `Instant.since` inlined, to save two calls
            moment.monotonic - last.monotonic < interval
            and moment.wall - last.wall < interval
        ):
            return False
        return self._can_send and not self.backoff.holds(moment)

    def due_outside(self, moment: Instant) -> bool:
        """Whether a flush is due outside invocations."""
        if self.interval > 0:
            return self.due(moment)
        if moment.since(self._last) < OUTSIDE or not self._can_send:
            return False
        return not self.backoff.holds(moment)

    @property
    def _can_send(self) -> bool:
        return self._client is not None and self._upstream is not None

    def due_at_end(self) -> bool:
        """Whether an invocation that ends now should flush, as for interval 0."""
        if self.interval > 0:
            return False
        moment = self._clock()
        return not self.backoff.holds(moment) and not self._stuck(moment)

    def _stuck(self, moment: Instant) -> bool:
        """Whether a flush in flight has outlasted the wait of an invocation."""
        ages = [moment.since(delivery.began) for delivery in list(self._in_flight)]
        return any(self._flush_timeout < age <= self._request_timeout for age in ages)

    def begin(self) -> Flush | None:
        """
        Flush in the background. At most one flush runs, and one more is queued.

        Returns:
            The flush that sends everything counted so far; None when there is no
            server or no client yet.
        """
        if not self._can_send:
            return None
        with self._lock:
            queued = self._next
            if queued is not None and not (queued.drained or queued.ended):
                return queued
            flush = Flush(lambda: self.flush_in_turn(flush))
            flush.start()
            self._next = flush
            return flush

    def flush_in_turn(self, flush: Flush | None = None) -> None:
        """Flush on this background thread, after the flush that is running."""
        # The running flush ends at its deadline, or shortly after a thaw.
        limit = self._request_timeout
        acquired = self._turn.acquire(timeout=limit + OVERRUN)
        try:
            if flush is not None:
                flush.drained = True
            self.flush(limit)
        finally:
            if acquired:
                self._turn.release()

    def flush(self, timeout: float, *, exiting: bool = False) -> bool:
        """Send all counts on this thread; return False if any was not accepted."""
        deadline = time.monotonic() + timeout
        left, flushed = timeout, True
        for delivery in self.collect():
            if flushed and left > 0:
                flushed = self.send(delivery, left, exiting=exiting)
                left = deadline - time.monotonic()
            else:
                flushed = False
                self._keep(delivery)
        return flushed

    def collect(self) -> list[Delivery]:
        """Drain the counts, in parts small enough for the server."""
        if self._client is None or self._upstream is None:
            return []
        self._last = self._clock()
        whole = Delivery(self._last)
        self._in_flight.add(whole)  # before draining: each count is always in one place
        deliveries: list[Delivery] = []
        try:
            bucket = self.counts.take(self._client.drain_counts())
            if bucket is not None:
                whole.bucket = bucket
                deliveries = self._parted(whole)
        finally:
            if not deliveries:
                self._finish_delivery(whole)
        return deliveries

    def _parted(self, whole: Delivery) -> list[Delivery]:
        first, *others = parts_of(whole.bucket)
        deliveries = [whole]
        for part in others:
            delivery = Delivery(whole.began)
            delivery.bucket = part
            self._in_flight.add(delivery)
            deliveries.append(delivery)
        whole.bucket = first
        return deliveries

    def _finish_delivery(self, delivery: Delivery) -> None:
        self._in_flight.discard(delivery)
        delivery.answered.set()

    def _keep(self, delivery: Delivery) -> None:
        """Keep an unsent part for the next flush, because an earlier part failed."""
        if not delivery.record_once():  # it was given up before
            self.counts.add_unknown(-(delivery.given_up or 0))
        self.counts.keep(delivery.bucket)
        self._finish_delivery(delivery)

    def send(
        self, delivery: Delivery, timeout: float, *, exiting: bool = False
    ) -> bool:
        """Send one bucket on this thread; return whether the server accepted it."""
        assert self._upstream is not None  # noqa: S101  reason: narrows the type
        sent = Sent(Outcome.UNKNOWN, error="the flush was interrupted")
        try:
            sent = self._upstream.send(
                delivery.bucket, timeout=timeout, exiting=exiting
            )
        except Exception as error:  # noqa: BLE001  reason: any failure of a client; the bucket may have been sent
            sent = Sent(Outcome.UNKNOWN, error=f"{type(error).__name__} in the request")
        finally:
            if not delivery.record_once():  # it was given up before
                self.counts.add_unknown(-(delivery.given_up or 0))
            outcome = self.counts.settle(delivery.bucket, sent.outcome, sent.status)
            self._finish_delivery(delivery)
        seconds = self._clock().since(delivery.began)
        self._record_result(sent, outcome, seconds)
        self._observe(outcome, seconds)
        return outcome == "taken"

    def finish(self, timeout: float, *, exiting: bool = False) -> bool:
        """
        Send all counts on this thread before the process ends.

        Waits for other deliveries in flight too, and sends again what the server did
        not accept from them.
        """
        deadline = time.monotonic() + timeout
        others = list(self._in_flight)
        flushed = self.flush(timeout, exiting=exiting)
        others += [
            delivery for delivery in list(self._in_flight) if delivery not in others
        ]
        for other in others:
            answered = other.answered.wait(max(0.0, deadline - time.monotonic()))
            flushed = flushed and answered
        left = deadline - time.monotonic()
        if others and self.counts.waiting and left > 0:
            flushed = self.flush(left, exiting=exiting)
        return flushed and not self.counts.waiting

    def give_up(self) -> None:
        """Record unsent and unanswered counts as lost: the session has ended."""
        fresh = None if self._client is None else self._client.drain_counts()
        self.counts.give_up(fresh)
        for delivery in list(self._in_flight):
            if delivery.given_up is None:
                delivery.given_up = evaluations(delivery.bucket)
                if delivery.record_once():
                    self.counts.add_unknown(delivery.given_up)

    def _record_result(self, sent: Sent, outcome: str, seconds: float) -> None:
        """Back off after a failure and log it; after a success, end the back-off."""
        if outcome == "taken":
            self.last_error = None
            self.backoff.succeed()
            self._problem_log.resolved(PROBLEM, "counts are accepted again")
            return
        self.last_error = sent.error
        if self.counts.given_up:
            return  # the session has ended and logged what it lost
        if seconds <= self._request_timeout + OVERRUN:  # else it was frozen
            self.backoff.fail(self._clock(), sent.retry_after)
        self._problem_log.warn(
            PROBLEM, "counts were not accepted (%s): %s", outcome, sent.error
        )
