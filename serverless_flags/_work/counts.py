"""Which counts are pending, in flight or lost, so that none is counted twice."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from serverless_flags._protocols import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from serverless_flags._log import ProblemLog

Bucket = dict[str, Any]
"""Counts of one period: ``start``, ``stop``, and ``toggles`` (yes, no, variants)."""

MOST_TOGGLES = 10_000
"""Flags in a pending bucket; bounds the memory of a program that makes up names."""

MOST_CHARACTERS = 1_000_000
"""Characters of flag names in a pending bucket."""

MOST_BYTES = 90_000
"""Bytes of counts in one request; Unleash's servers reject bodies over 100 kB."""

PERMANENT_REJECTIONS = frozenset({400, 413, 422})
"""HTTP statuses after which the server would never accept the same bucket."""


class AtomicCounter:
    """A number that several threads add to."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.RLock()  # a signal handler may add too

    def add(self, number: int) -> None:
        """Add ``number``, which may be negative."""
        with self._lock:
            self.value += number


class PendingCounts:
    """
    The buckets that wait for the next flush, and the totals of those that were lost.

    A bucket has one owner at a time: this object while the bucket is pending, or the
    `Delivery` that sends it. So a request that hangs never blocks another, and no
    bucket that may have been accepted is sent again.
    """

    def __init__(self) -> None:
        self._kept: deque[Bucket] = deque()
        self._unknown = AtomicCounter()
        self._uncounted = AtomicCounter()
        self.given_up = False
        """Whether there will be no further flush."""

    @property
    def unknown(self) -> int:
        """Evaluations whose counts were sent and never acknowledged."""
        return self._unknown.value

    @property
    def uncounted(self) -> int:
        """Evaluations that will never be counted."""
        return self._uncounted.value

    def take(self, fresh: Bucket | None) -> Bucket | None:
        """Remove the pending buckets and return them, merged with ``fresh``."""
        bucket = fresh
        with contextlib.suppress(IndexError):
            while True:
                bucket = _merged(self._kept.popleft(), bucket)
        if bucket is not None:
            self._uncounted.add(_bound(bucket))
        return bucket

    def keep(self, bucket: Bucket) -> None:
        """Keep a bucket for the next flush; if there will be none, it is lost."""
        if self.given_up:
            self.lose(bucket)
        else:
            self._kept.append(bucket)

    def settle(self, bucket: Bucket, outcome: str, status: int | None) -> str:
        """Record what became of a bucket; return the outcome for ``after_flush``."""
        if outcome == Outcome.TAKEN:
            return "taken"
        if outcome == Outcome.UNKNOWN:
            self._unknown.add(evaluations(bucket))
            return "unknown"
        if status in PERMANENT_REJECTIONS:
            self.lose(bucket)
            return "refused"
        self.keep(bucket)
        return "kept"

    def lose(self, bucket: Bucket) -> None:
        """Record the evaluations of a bucket that the server will never count."""
        self._uncounted.add(evaluations(bucket))

    def add_unknown(self, evaluations: int) -> None:
        """Record evaluations whose counts are in flight; negative: answered late."""
        self._unknown.add(evaluations)

    def give_up(self, fresh: Bucket | None) -> None:
        """Record the pending buckets and ``fresh`` as lost: there is no next flush."""
        self.given_up = True
        bucket = self.take(fresh)
        if bucket is not None:
            self.lose(bucket)

    @property
    def waiting(self) -> bool:
        """Whether a bucket is pending for the next flush."""
        return bool(self._kept)


def evaluations(bucket: Mapping[str, Any]) -> int:
    """Return how many evaluations a bucket counts."""
    toggles = bucket.get("toggles", {})
    return sum(t["yes"] + t["no"] for t in toggles.values())


def parts_of(bucket: Bucket, most: int = MOST_BYTES) -> list[Bucket]:
    """
    Cut a bucket into parts whose counts have at most ``most`` bytes as JSON.

    A flag with more variants than fit is cut too; the first of its parts holds its
    yes and no counts. A flag whose name alone is larger becomes a part of its own.
    """
    if len(json.dumps(bucket["toggles"])) <= most:
        return [bucket]
    parts: list[dict[str, Any]] = [{}]
    left = most
    for name, toggle in bucket["toggles"].items():
        for piece in _pieces(name, toggle, most):
            size = _size(name, piece)
            if (size > left and parts[-1]) or name in parts[-1]:
                parts.append({})
                left = most
            parts[-1][name] = piece
            left -= size
    rest = {key: value for key, value in bucket.items() if key != "toggles"}
    return [{**rest, "toggles": part} for part in parts]


def _pieces(name: str, toggle: Mapping[str, Any], most: int) -> Iterator[Any]:
    """Yield one flag's counts in pieces of at most ``most`` bytes where possible."""
    if _size(name, toggle) <= most or not toggle.get("variants"):
        yield toggle
        return
    piece: dict[str, Any] = {**toggle, "variants": {}}
    left = most - _size(name, piece)
    for variant, count in toggle["variants"].items():
        size = len(json.dumps({variant: count}))
        if size > left and piece["variants"]:
            yield piece
            piece = {**toggle, "yes": 0, "no": 0, "variants": {}}
            left = most - _size(name, piece)
        piece["variants"][variant] = count
        left -= size
    yield piece


def _size(name: str, toggle: Any) -> int:
    return len(json.dumps({name: toggle})) + 2


def _merged(first: Bucket, second: Bucket | None) -> Bucket:
    if second is None:
        return first
    toggles = {name: _copy(toggle) for name, toggle in first["toggles"].items()}
    for name, toggle in second["toggles"].items():
        into = toggles.setdefault(name, {"yes": 0, "no": 0, "variants": {}})
        into["yes"] += toggle["yes"]
        into["no"] += toggle["no"]
        for variant, count in toggle.get("variants", {}).items():
            into["variants"][variant] = into["variants"].get(variant, 0) + count
    return {
        **second,
        "start": min(first["start"], second["start"]),
        "stop": max(first["stop"], second["stop"]),
        "toggles": toggles,
    }


def _copy(toggle: Mapping[str, Any]) -> dict[str, Any]:
    return {**toggle, "variants": dict(toggle.get("variants", {}))}


def _bound(bucket: Bucket) -> int:
    """Drop flags beyond the bounds; return how many evaluations were dropped."""
    toggles, dropped, left = bucket["toggles"], 0, MOST_CHARACTERS
    for position, name in enumerate(list(toggles)):
        left -= len(name)
        if position >= MOST_TOGGLES or left < 0:
            toggle = toggles.pop(name)
            dropped += toggle["yes"] + toggle["no"]
    return dropped


def warn_of_losses(
    problem_log: ProblemLog, uncounted: int, counts: PendingCounts | None
) -> None:
    """Log how many evaluations the server will never, or may never, receive."""
    uncounted += 0 if counts is None else counts.uncounted
    unknown = 0 if counts is None else counts.unknown
    if uncounted or unknown:
        problem_log.warn(
            "end",
            "the session has ended: %s evaluations were not counted, %s were sent"
            " and not answered",
            uncounted,
            unknown,
        )
