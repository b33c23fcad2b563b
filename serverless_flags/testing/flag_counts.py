"""What the functions have counted, as the embedded server received it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Counts:
    """Evaluations of one flag, as the metrics of all functions add up."""

    yes: int = 0
    """Evaluations that answered enabled."""

    no: int = 0
    """Evaluations that answered disabled."""

    variants: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Answers of ``get_variant``, by the variant's name."""

    @property
    def total(self) -> int:
        """Evaluations in all."""
        return self.yes + self.no

    def __add__(self, other: Counts) -> Counts:
        variants = Counter(self.variants) + Counter(other.variants)
        return Counts(self.yes + other.yes, self.no + other.no, dict(variants))


class FlagCounts:
    """The sum of all metrics buckets; from any thread."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Counts] = {}
        self._changed = threading.Condition()

    def add(self, metrics: Any) -> None:
        """
        Add the bucket of a body of ``POST /api/client/metrics``.

        Raises:
            ValueError: when the body is not what Unleash's clients send.
        """
        app_name, received = _parse(metrics)
        with self._changed:
            for name, counts in received.items():
                key = name, app_name
                self._sums[key] = self._sums.get(key, Counts()) + counts
            self._changed.notify_all()

    def of(self, name: str, app_name: str | None = None) -> Counts:
        """Return the counts of one flag so far, of all applications or of one."""
        with self._changed:
            return self._of(name, app_name)

    def wait(
        self, name: str, total: int, timeout: float, app_name: str | None = None
    ) -> Counts:
        """Return the counts as soon as ``total`` is reached, or after ``timeout``."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._of(name, app_name).total < total:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    break
            return self._of(name, app_name)

    def _of(self, name: str, app_name: str | None) -> Counts:
        counted = [
            counts
            for (flag, app), counts in self._sums.items()
            if flag == name and app_name in (None, app)
        ]
        return sum(counted, start=Counts())


def _parse(metrics: Any) -> tuple[str, dict[str, Counts]]:
    """Return the application's name and its counts by flag, as strict as Unleash is."""
    try:
        app_name = str(metrics["appName"])
        bucket = metrics.get("bucket")
        if bucket is None:  # impact metrics only
            return app_name, {}
        _start, _stop, toggles = (bucket[key] for key in ("start", "stop", "toggles"))
        return app_name, {name: _counts(toggle) for name, toggle in toggles.items()}
    except (AttributeError, KeyError, TypeError) as error:
        message = (
            "metrics are {appName, bucket: {start, stop, toggles: "
            f"{{name: {{yes, no, variants}}}}}}}}, not {metrics!r}"
        )
        raise ValueError(message) from error


def _counts(toggle: dict[str, Any]) -> Counts:
    variants = dict(toggle.get("variants", {}))
    numbers = [toggle.get("yes", 0), toggle.get("no", 0), *variants.values()]
    if any(type(number) is not int or number < 0 for number in numbers):
        message = f"counts are numbers that are not negative: {toggle!r}"
        raise ValueError(message)
    return Counts(numbers[0], numbers[1], variants)
