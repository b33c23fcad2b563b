"""Bring the counts to the server: in time, once, and whatever is left at the end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from serverless_flags._client import Outcome, Sent
from serverless_flags._counts import Bucket, Counts, evaluations
from serverless_flags._freshness import OVERRUN, Backoff, Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._client import StateClient, Upstream
    from serverless_flags._report import Reporter

TROUBLE = "flush"


class Flight:
    """One bucket on its way."""

    def __init__(self, began: Instant) -> None:
        self.began = began
        self.bucket: Bucket = {}
        self.given_up = 0
        """Evaluations booked as unknown before there was an answer."""
        self.landed = threading.Event()
        self._booked = threading.Lock()

    def book(self) -> bool:
        """Whether the caller is the first to book what became of it."""
        return self._booked.acquire(blocking=False)


class Flusher:
    """The counts of one process on their way to the server."""

    def __init__(
        self,
        upstream: Upstream | None,
        *,
        flush_timeout: float,
        request_timeout: float,
        clock: Callable[[], Instant],
        reporter: Reporter,
        observe: Callable[[str, float], None],
    ) -> None:
        self.counts = Counts()
        self.interval = 0.0
        """Seconds between flushes; 0: at the end of every invocation."""
        self.last_error: str | None = None
        self.backoff = Backoff()
        self._upstream = upstream
        self._patience = flush_timeout
        self._request_timeout = request_timeout
        self._clock = clock
        self._reporter = reporter
        self._observe = observe
        self._client: StateClient | None = None
        self._last = clock()
        self._in_flight: set[Flight] = set()

    def adopt(self, client: StateClient) -> None:
        """Take the counts of ``client`` from now on."""
        self._client = client

    def due(self, moment: Instant) -> bool:
        """Whether a flush is to run in parallel with an invocation that starts now."""
        interval, last = self.interval, self._last
        if interval == 0 or (  # `Instant.since`, which this need not call
            moment.monotonic - last.monotonic < interval
            and moment.wall - last.wall < interval
        ):
            return False
        if self._client is None or self._upstream is None:
            return False
        return not self.backoff.holds(moment)

    def due_at_end(self) -> bool:
        """Whether every invocation ends with a flush, and the server may be asked."""
        if self.interval > 0:
            return False
        moment = self._clock()
        return not self.backoff.holds(moment) and not self._stuck(moment)

    def _stuck(self, moment: Instant) -> bool:
        """Whether an invocation has waited for the server in vain just now."""
        ages = [moment.since(flight.began) for flight in list(self._in_flight)]
        return any(self._patience < age <= self._request_timeout for age in ages)

    def collect(self) -> Flight | None:
        """Take what is to be sent now; None when nothing is."""
        if self._client is None or self._upstream is None:
            return None
        self._last = self._clock()
        flight = Flight(self._last)
        self._in_flight.add(flight)  # first: no count may be neither here nor there
        bucket = None
        try:
            bucket = self.counts.take(self._client.take_counts())
        finally:
            if bucket is None:
                self._land(flight)
        if bucket is None:
            return None
        flight.bucket = bucket
        return flight

    def _land(self, flight: Flight) -> None:
        self._in_flight.discard(flight)
        flight.landed.set()

    def flush(self, timeout: float) -> bool:
        """Send what there is, on this thread; True when nothing is left to send."""
        flight = self.collect()
        return flight is None or self.send(flight, timeout)

    def send(self, flight: Flight, timeout: float) -> bool:
        """Send one bucket, on this thread; return whether the server took it."""
        assert self._upstream is not None  # noqa: S101  reason: narrows the type
        sent = Sent(Outcome.UNKNOWN, error="the flush was interrupted")
        try:
            sent = self._upstream.send(flight.bucket, timeout=timeout)
        finally:
            if not flight.book():  # it was given up
                self.counts.unknown -= flight.given_up
            word = self.counts.settle(flight.bucket, sent.outcome, sent.status)
            self._land(flight)
        seconds = self._clock().since(flight.began)
        self._note(sent, word, seconds)
        self._observe(word, seconds)
        return word == "taken"

    def finish(self, timeout: float) -> bool:
        """
        Send all there is before the instance ends, on this thread.

        Waits for flushes in flight too: what the server refuses them goes with ours.
        """
        deadline = time.monotonic() + timeout
        others = list(self._in_flight)
        flushed = self.flush(timeout)
        for other in others:
            landed = other.landed.wait(max(0.0, deadline - time.monotonic()))
            flushed = flushed and landed
        left = deadline - time.monotonic()
        if others and self.counts.waiting and left > 0:
            flushed = self.flush(left)
        return flushed and not self.counts.waiting

    def give_up(self) -> None:
        """Book what nobody will send any more, or wait for: the session has ended."""
        fresh = None if self._client is None else self._client.take_counts()
        self.counts.give_up(fresh)
        for flight in list(self._in_flight):
            flight.given_up = evaluations(flight.bucket)
            if flight.book():
                self.counts.unknown += flight.given_up

    def _note(self, sent: Sent, word: str, seconds: float) -> None:
        """Back off or forget the trouble; the log comes after the answer."""
        if word == "taken":
            self.last_error = None
            self.backoff.succeed()
            self._reporter.passed(TROUBLE, "counts are taken again")
            return
        self.last_error = sent.error
        if seconds <= self._request_timeout + OVERRUN:  # else a freeze cut it off
            self.backoff.fail(self._clock(), sent.retry_after)
        self._reporter.warn(TROUBLE, "counts were not taken (%s): %s", word, sent.error)
