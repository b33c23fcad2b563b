"""A clock that the test moves, and a server and a client that do as told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags._freshness import Instant

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Both clocks of a machine, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> Instant:
        return Instant(self.seconds, 1_700_000_000.0 + self.seconds)

    def advance(self, seconds: float) -> Instant:
        self.seconds += seconds
        return self()


class Upstream:
    """A server: what it answers, in order; a callable is called, an error raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, float]] = []
        """What was sent (an ETag or a bucket), and the timeout."""

    def fetch(self, etag: str | None, *, timeout: float) -> Any:
        return self._next(etag, timeout)

    def send(self, bucket: Any, *, timeout: float) -> Any:
        return self._next(bucket, timeout)

    def _next(self, sent: Any, timeout: float) -> Any:
        self.asked.append((sent, timeout))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    def close(self) -> None:
        """Nothing is open."""


class Client:
    """A flag client whose state and counts are plain lists."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.counts: list[Any] = []
        self.error: Exception | None = None

    def is_enabled(self, *_args: Any) -> bool:
        return False

    def get_variant(self, *_args: Any) -> dict[str, Any]:
        return {}

    def take_state(self, body: str) -> None:
        self.bodies.append(body)
        if self.error is not None:
            raise self.error

    def take_counts(self) -> Any:
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
    """Return what makes a bucket of yes-counts by flag name."""

    def make(start: str = "1", stop: str = "2", **yes: int) -> dict[str, Any]:
        toggles = {
            name: {"yes": count, "no": 0, "variants": {}} for name, count in yes.items()
        }
        return {"start": start, "stop": stop, "toggles": toggles}

    return make
