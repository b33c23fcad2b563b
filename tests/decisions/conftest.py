"""A clock that the test advances, and a server and a client with scripted answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags._background import Completion
from serverless_flags._clock import Instant
from serverless_flags._log import ProblemLog
from serverless_flags._work.backoff import Backoff
from serverless_flags._work.flush import Flusher
from serverless_flags._work.freshness import Freshness
from serverless_flags._work.refresh import Refresher

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Both clocks of a machine, advanced by the test."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> Instant:
        return Instant(self.seconds, 1_700_000_000.0 + self.seconds)

    def advance(self, seconds: float) -> Instant:
        self.seconds += seconds
        return self()


class Upstream:
    """A server with scripted answers; callables are called, exceptions raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, float]] = []
        """What was sent (an ETag or a bucket), and the timeout."""

    def fetch(self, etag: str | None, *, timeout: float) -> Any:
        return self._next(etag, timeout)

    def send(self, bucket: Any, *, timeout: float, exiting: bool = False) -> Any:
        return self._next(bucket, timeout)

    def _next(self, sent: Any, timeout: float) -> Any:
        self.asked.append((sent, timeout))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    def close(self) -> None:
        """Do nothing."""


class Client:
    """A flag client whose states and counts are lists."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.counts: list[Any] = []
        self.error: Exception | None = None

    def is_enabled(self, *_args: Any) -> bool:
        return False

    def get_variant(self, *_args: Any) -> dict[str, Any]:
        return {}

    def load_state(self, body: str) -> None:
        self.bodies.append(body)
        if self.error is not None:
            raise self.error

    @property
    def flag_count(self) -> int | None:
        return {"one": 1, "two": 2}.get(self.bodies[-1])

    def drain_counts(self) -> Any:
        return self.counts.pop(0) if self.counts else None


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="client")
def _client() -> Client:
    return Client()


@pytest.fixture(name="server")
def _server() -> Callable[..., Upstream]:
    return Upstream


@pytest.fixture(name="bucket")
def _bucket() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a bucket of yes-counts by flag name."""

    def make(start: str = "1", stop: str = "2", **yes: int) -> dict[str, Any]:
        toggles = {
            name: {"yes": count, "no": 0, "variants": {}} for name, count in yes.items()
        }
        return {"start": start, "stop": stop, "toggles": toggles}

    return make


class Refreshing:
    """A `Refresher` with its dependencies."""

    def __init__(self, upstream, client, clock, **ages) -> None:
        ages = {"max_age": 15.0, "stale_while_revalidate": 45.0, **ages}
        ages.setdefault("stale_if_error", math.inf)
        self.upstream, self.client, self.clock = upstream, client, clock
        self.observed: list[tuple[str, float]] = []
        self.refresher = Refresher(
            upstream,
            Freshness(**ages, uniform=lambda: 1.0),
            request_timeout=2.0,
            freezes=True,
            clock=clock,
            problem_log=ProblemLog(),
            observe=lambda *observed: self.observed.append(observed),
        )
        if client is not None:
            self.refresher.adopt(client)

    def claim(self, moment):
        """Start a refresh that the test runs; return it, and whether it is new."""
        refresh, task = self.refresher.begin(moment, lambda _: Completion())
        return refresh, task is not None

    def refresh(self):
        """Refresh once; return the refresh, which has ended."""
        refresh, mine = self.claim(self.clock())
        assert mine
        self.refresher.run(refresh)
        assert refresh.ended
        return refresh

    def sees(self) -> tuple:
        """Return the source, the age and the last error, as the status has them."""
        refresher = self.refresher
        return refresher.source, refresher.flags, refresher.last_error


@pytest.fixture(name="refreshing")
def _refreshing(server, client, clock):
    def make(*answers, upstream=True, client=client, **ages):
        there = server(*answers) if upstream else None
        return Refreshing(there, client or None, clock, **ages)

    return make


class Flushing:
    """A `Flusher` with its dependencies."""

    def __init__(self, upstream, client, clock) -> None:
        self.upstream, self.client, self.clock = upstream, client, clock
        self.observed: list[tuple[str, float]] = []
        self.flusher = Flusher(
            upstream,
            flush_timeout=0.3,
            request_timeout=2.0,
            clock=clock,
            problem_log=ProblemLog(),
            observe=lambda *observed: self.observed.append(observed),
            backoff=Backoff(lambda: 1.0),
        )
        if client is not None:
            self.flusher.adopt(client)

    def sent(self) -> list[dict[str, int]]:
        """Return the yes-counts of each bucket that was sent."""
        return [
            {name: toggle["yes"] for name, toggle in bucket["toggles"].items()}
            for bucket, _ in self.upstream.asked
        ]


@pytest.fixture(name="flushing")
def _flushing(server, client, clock):
    def make(*answers, counts=(), upstream=True, client=client):
        if client:
            client.counts.extend(counts)
        there = server(*answers) if upstream else None
        return Flushing(there, client or None, clock)

    return make


@pytest.fixture(name="raising")
def _raising() -> Callable[..., Callable[..., Any]]:
    """Return a function that raises the given exception."""

    def raising(error: type[BaseException]) -> Callable[..., Any]:
        def fail(*_args: object) -> Any:
            raise error

        return fail

    return raising
