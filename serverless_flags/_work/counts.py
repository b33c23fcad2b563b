"""Which counts wait, which are on their way and which are lost: nothing sent twice."""

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
"""PendingCounts of one period: ``start``, ``stop``, and ``toggles`` (yes, no, variants)."""

MOST_TOGGLES = 10_000
"""Flags in a kept bucket: a program that invents names must not fill the memory."""

MOST_CHARACTERS = 1_000_000
"""Characters of flag names in a kept bucket."""

MOST_BYTES = 90_000
"""Bytes of counts in one request: Unleash's servers refuse bodies over 100 kB."""

REFUSED_FOR_GOOD = frozenset({400, 413, 422})
"""Statuses after which the same bucket would never be taken."""


class AtomicCounter:
    """A number that threads add to."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.RLock()  # a signal handler may add too

    def add(self, number: int) -> None:
        """Add to it."""
        with self._lock:
            self.value += number


class PendingCounts:
    """
    The buckets between the flag client and the server.

    A bucket has one owner at a time: it waits here, or it is on its way. So a send
    that hangs never blocks another, and no bucket is ever sent twice.
    """

    def __init__(self) -> None:
        self._kept: deque[Bucket] = deque()
        self._unknown = AtomicCounter()
        self._uncounted = AtomicCounter()
        self.given_up = False
        """Whether there will be no further flush."""
        """Whether there will be no further flush."""

    @property
    def unknown(self) -> int:
        """Evaluations whose counts were sent and never answered."""
        return self._unknown.value

    @property
    def uncounted(self) -> int:
        """Evaluations that will never be counted."""
        return self._uncounted.value

    def take(self, fresh: Bucket | None) -> Bucket | None:
        """Return what is to be sent now: what waits merged with ``fresh``."""
        bucket = fresh
        with contextlib.suppress(IndexError):
            while True:
                bucket = _merged(self._kept.popleft(), bucket)
        if bucket is not None:
            self._uncounted.add(_bound(bucket))
        return bucket

    def keep(self, bucket: Bucket) -> None:
        """Let a bucket wait for the next flush, if there will be one."""
        if self.given_up:
            self.lose(bucket)
        else:
            self._kept.append(bucket)

    def settle(self, bucket: Bucket, outcome: str, status: int | None) -> str:
        """Book what became of a bucket; return the word that ``after_flush`` gets."""
        if outcome == Outcome.TAKEN:
            return "taken"
        if outcome == Outcome.UNKNOWN:
            self._unknown.add(evaluations(bucket))
            return "unknown"
        if status in REFUSED_FOR_GOOD:
            self.lose(bucket)
            return "refused"
        self.keep(bucket)
        return "kept"

    def lose(self, bucket: Bucket) -> None:
        """Book a bucket that will never be taken."""
        self._uncounted.add(evaluations(bucket))

    def doubt(self, evaluations: int) -> None:
        """Book evaluations whose counts are on their way; negative: answered late."""
        self._unknown.add(evaluations)

    def give_up(self, fresh: Bucket | None) -> None:
        """Book what waits and ``fresh``: there is no next flush."""
        self.given_up = True
        bucket = self.take(fresh)
        if bucket is not None:
            self.lose(bucket)

    @property
    def waiting(self) -> bool:
        """Whether a bucket waits for the next flush."""
        return bool(self._kept)


def evaluations(bucket: Mapping[str, Any]) -> int:
    """Return how many evaluations a bucket counts."""
    toggles = bucket.get("toggles", {})
    return sum(t["yes"] + t["no"] for t in toggles.values())


def parts_of(bucket: Bucket, most: int = MOST_BYTES) -> list[Bucket]:
    """
    Cut a bucket into parts whose counts have at most ``most`` bytes as JSON.

    A flag with more variants than fit is cut too; its evaluations stand in the first
    of its parts. A flag whose name alone is larger is a part of its own.
    """
    if len(json.dumps(bucket["toggles"])) <= most:
        return [bucket]
    parts: list[dict[str, Any]] = [{}]
    room = most
    for name, toggle in bucket["toggles"].items():
        for piece in _pieces(name, toggle, most):
            size = _size(name, piece)
            if (size > room and parts[-1]) or name in parts[-1]:
                parts.append({})
                room = most
            parts[-1][name] = piece
            room -= size
    rest = {key: value for key, value in bucket.items() if key != "toggles"}
    return [{**rest, "toggles": part} for part in parts]


def _pieces(name: str, toggle: Mapping[str, Any], most: int) -> Iterator[Any]:
    """Yield one flag's counts in pieces of at most ``most`` bytes, if they can be."""
    if _size(name, toggle) <= most or not toggle.get("variants"):
        yield toggle
        return
    piece: dict[str, Any] = {**toggle, "variants": {}}
    room = most - _size(name, piece)
    for variant, count in toggle["variants"].items():
        size = len(json.dumps({variant: count}))
        if size > room and piece["variants"]:
            yield piece
            piece = {**toggle, "yes": 0, "no": 0, "variants": {}}
            room = most - _size(name, piece)
        piece["variants"][variant] = count
        room -= size
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
    """Drop what is over the bounds; return how many evaluations that were."""
    toggles, dropped, room = bucket["toggles"], 0, MOST_CHARACTERS
    for position, name in enumerate(list(toggles)):
        room -= len(name)
        if position >= MOST_TOGGLES or room < 0:
            toggle = toggles.pop(name)
            dropped += toggle["yes"] + toggle["no"]
    return dropped


def warn_of_losses(
    problem_log: ProblemLog, uncounted: int, counts: PendingCounts | None
) -> None:
    """Log what the server will never have, or may not: a session's last line."""
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
