"""Which counts wait, which are on their way and which are lost: nothing sent twice."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

from serverless_flags._client import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

Bucket = dict[str, Any]
"""Counts of one period: ``start``, ``stop``, and ``toggles`` (yes, no, variants)."""

MOST_TOGGLES = 10_000
"""Flags in a kept bucket: a program that invents names must not fill the memory."""

REFUSED_FOR_GOOD = frozenset({400, 413, 422})
"""Statuses after which the same bucket would never be taken."""


class Counts:
    """
    The buckets between the flag client and the server.

    A bucket has one owner at a time: it waits here, or it is on its way. So a send
    that hangs never blocks another, and no bucket is ever sent twice. No lock: the
    thread that a signal interrupted might hold it.
    """

    def __init__(self) -> None:
        self._kept: deque[Bucket] = deque()
        self.unknown = 0
        """Evaluations whose counts were sent and never answered."""
        self.uncounted = 0
        """Evaluations that will never be counted."""

    def take(self, fresh: Bucket | None) -> Bucket | None:
        """Return what is to be sent now: what waits merged with ``fresh``."""
        bucket = fresh
        with contextlib.suppress(IndexError):
            while True:
                bucket = _merged(self._kept.popleft(), bucket)
        if bucket is not None:
            self.uncounted += _bound(bucket)
        return bucket

    def settle(self, bucket: Bucket, outcome: Outcome, status: int | None) -> str:
        """Book what became of a bucket; return the word that ``after_flush`` gets."""
        if outcome is Outcome.TAKEN:
            return "taken"
        if outcome is Outcome.UNKNOWN:
            self.unknown += evaluations(bucket)
            return "unknown"
        if status in REFUSED_FOR_GOOD:
            self.uncounted += evaluations(bucket)
            return "refused"
        self._kept.append(bucket)
        return "kept"

    def give_up(self, fresh: Bucket | None) -> None:
        """Book what waits and ``fresh``: there is no next flush."""
        bucket = self.take(fresh)
        if bucket is not None:
            self.uncounted += evaluations(bucket)

    @property
    def waiting(self) -> bool:
        """Whether a bucket waits for the next flush."""
        return bool(self._kept)


def evaluations(bucket: Mapping[str, Any]) -> int:
    """Return how many evaluations a bucket counts."""
    toggles = bucket.get("toggles", {})
    return sum(t["yes"] + t["no"] for t in toggles.values())


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
    """Drop what is over the bound; return how many evaluations that were."""
    dropped = 0
    for name in list(bucket["toggles"])[MOST_TOGGLES:]:
        toggle = bucket["toggles"].pop(name)
        dropped += toggle["yes"] + toggle["no"]
    return dropped
