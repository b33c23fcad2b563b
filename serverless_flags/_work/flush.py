"""Bring the counts to the server: in time, once, and whatever is left at the end.

PendingCounts are drained on the thread that sends them, never on one that runs the user's
function: an exception of others may arrive there between any two lines.
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
"""Seconds between flushes outside invocations where every invocation would flush."""


class Delivery:
    """One bucket on its way."""

    def __init__(self, began: Instant) -> None:
        self.began = began
        self.bucket: Bucket = {}
        self.given_up: int | None = None
        """Evaluations booked as unknown, where it was given up before its answer."""
        self.answered = threading.Event()
        self._recorded = threading.Lock()

    def record_once(self) -> bool:
        """Whether the caller is the first to record_once what became of it."""
        return self._recorded.acquire(blocking=False)


class Flush(BackgroundTask):
    """One flush in the background; it drains when its turn has come."""

    drained = False
    """Whether later evaluations need another one."""


class Flusher:
    """The counts of one process on their way to the server."""

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
        self._patience = flush_timeout
        self._request_timeout = request_timeout
        self._clock = clock
        self._problem_log = problem_log
        self._observe = observe
        self._client: StateClient | None = None
        self._last = clock()
        self._in_flight: set[Delivery] = set()
        self._gate = threading.RLock()
        self._turn = threading.Lock()
        self._next: Flush | None = None

    def adopt(self, client: StateClient) -> None:
        """Take the counts of ``client`` from now on."""
        self._client = client

    # -- when ----------------------------------------------------------------------
    def due(self, moment: Instant) -> bool:
        """Whether a flush is to run in parallel with an invocation that starts now."""
        interval, last = self.interval, self._last
        if interval == 0 or (  # `Instant.since`, which this need not call
            moment.monotonic - last.monotonic < interval
            and moment.wall - last.wall < interval
        ):
            return False
        return self._can_send and not self.backoff.holds(moment)

    def due_outside(self, moment: Instant) -> bool:
        """Whether a flush is due though no invocation begins or ends."""
        if self.interval > 0:
            return self.due(moment)
        if moment.since(self._last) < OUTSIDE or not self._can_send:
            return False
        return not self.backoff.holds(moment)

    @property
    def _can_send(self) -> bool:
        return self._client is not None and self._upstream is not None

    def due_at_end(self) -> bool:
        """Whether every invocation ends with a flush, and the server may be asked."""
        if self.interval > 0:
            return False
        moment = self._clock()
        return not self.backoff.holds(moment) and not self._stuck(moment)

    def _stuck(self, moment: Instant) -> bool:
        """Whether an invocation has waited for the server in vain just now."""
        ages = [moment.since(delivery.began) for delivery in list(self._in_flight)]
        return any(self._patience < age <= self._request_timeout for age in ages)

    # -- in the background ---------------------------------------------------------
    def begin(self) -> Flush | None:
        """
        Flush in the background: one is under way at most, and one follows it.

        Returns:
            The flush that sends all that has been counted by now; None when nothing
            can be sent.
        """
        if not self._can_send:
            return None
        with self._gate:
            follows = self._next
            if follows is not None and not (follows.drained or follows.ended):
                return follows
            flush = Flush(lambda: self.flush_in_turn(flush))
            flush.start()
            self._next = flush
            return flush

    def flush_in_turn(self, flush: Flush | None = None) -> None:
        """Flush on this thread of ours, after the flush that is under way."""
        # That one ends at its own deadline, or a moment after a thaw.
        limit = self._request_timeout
        mine = self._turn.acquire(timeout=limit + OVERRUN)
        try:
            if flush is not None:
                flush.drained = True
            self.flush(limit)
        finally:
            if mine:
                self._turn.release()

    # -- on the calling thread -----------------------------------------------------
    def flush(self, timeout: float, *, exiting: bool = False) -> bool:
        """Send what there is, on this thread; True when nothing is left to send."""
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
        """Take what is to be sent now, in parts that a server takes."""
        if self._client is None or self._upstream is None:
            return []
        self._last = self._clock()
        whole = Delivery(self._last)
        self._in_flight.add(whole)  # first: no count may be neither here nor there
        flights: list[Delivery] = []
        try:
            bucket = self.counts.take(self._client.drain_counts())
            if bucket is not None:
                whole.bucket = bucket
                flights = self._parted(whole)
        finally:
            if not flights:
                self._finish_delivery(whole)
        return flights

    def _parted(self, whole: Delivery) -> list[Delivery]:
        first, *others = parts_of(whole.bucket)
        flights = [whole]
        for part in others:
            delivery = Delivery(whole.began)
            delivery.bucket = part
            self._in_flight.add(delivery)
            flights.append(delivery)
        whole.bucket = first
        return flights

    def _finish_delivery(self, delivery: Delivery) -> None:
        self._in_flight.discard(delivery)
        delivery.answered.set()

    def _keep(self, delivery: Delivery) -> None:
        """Let a part wait that was not sent, for the part before it was refused."""
        if not delivery.record_once():  # it was given up
            self.counts.doubt(-(delivery.given_up or 0))
        self.counts.keep(delivery.bucket)
        self._finish_delivery(delivery)

    def send(
        self, delivery: Delivery, timeout: float, *, exiting: bool = False
    ) -> bool:
        """Send one bucket, on this thread; return whether the server took it."""
        assert self._upstream is not None  # noqa: S101  reason: narrows the type
        sent = Sent(Outcome.UNKNOWN, error="the flush was interrupted")
        try:
            sent = self._upstream.send(
                delivery.bucket, timeout=timeout, exiting=exiting
            )
        except Exception as error:  # noqa: BLE001  reason: a flag source's fault; what it wrote is not known
            sent = Sent(Outcome.UNKNOWN, error=f"{type(error).__name__} in the request")
        finally:
            if not delivery.record_once():  # it was given up
                self.counts.doubt(-(delivery.given_up or 0))
            word = self.counts.settle(delivery.bucket, sent.outcome, sent.status)
            self._finish_delivery(delivery)
        seconds = self._clock().since(delivery.began)
        self._note(sent, word, seconds)
        self._observe(word, seconds)
        return word == "taken"

    def finish(self, timeout: float, *, exiting: bool = False) -> bool:
        """
        Send all there is before the instance ends, on this thread.

        Waits for flushes in delivery too: what the server refuses them goes with ours.
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
        """Book what nobody will send any more, or wait for: the session has ended."""
        fresh = None if self._client is None else self._client.drain_counts()
        self.counts.give_up(fresh)
        for delivery in list(self._in_flight):
            if delivery.given_up is None:
                delivery.given_up = evaluations(delivery.bucket)
                if delivery.record_once():
                    self.counts.doubt(delivery.given_up)

    def _note(self, sent: Sent, word: str, seconds: float) -> None:
        """Back off or forget the trouble; the log comes after the answer."""
        if word == "taken":
            self.last_error = None
            self.backoff.succeed()
            self._problem_log.resolved(PROBLEM, "counts are taken again")
            return
        self.last_error = sent.error
        if self.counts.given_up:
            return  # the session has ended, and has said what it lost
        if seconds <= self._request_timeout + OVERRUN:  # else a freeze cut it off
            self.backoff.fail(self._clock(), sent.retry_after)
        self._problem_log.warn(
            PROBLEM, "counts were not taken (%s): %s", word, sent.error
        )
