"""Moments on both clocks of the machine, in seconds."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Instant(NamedTuple):
    """One moment on both clocks, in seconds."""

    monotonic: float
    wall: float

    def since(self, earlier: "Instant") -> float:
        """
        Return the seconds since ``earlier``, by the clock that says more.

        A frozen machine may stop the monotonic clock; the wall clock may be set back.
        """
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)


def now() -> Instant:
    """Read both clocks."""
    # not Instant(...), which takes twice as long: each invocation reads them
    return _new(Instant, (time.monotonic(), time.time()))


_new = tuple.__new__


def ticking(clock: Callable[[], Instant]) -> Callable[[], float]:
    """Return the monotonic clock of ``clock`` alone, which costs half of both."""
    return time.monotonic if clock is now else lambda: clock().monotonic
