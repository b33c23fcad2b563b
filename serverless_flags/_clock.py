"""Points in time on the monotonic clock and the wall clock, in seconds."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Instant(NamedTuple):
    """One point in time on both clocks, in seconds."""

    monotonic: float
    wall: float

    def since(self, earlier: "Instant") -> float:
        """
        Return the seconds since ``earlier``, by the clock on which more have passed.

        The monotonic clock may stop while a machine is frozen, and the wall clock may
        be set back.
        """
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)


def now() -> Instant:
    """Read both clocks."""
    # Instant(...) would take twice as long, and each invocation reads the clocks
    return _new(Instant, (time.monotonic(), time.time()))


_new = tuple.__new__


def ticking(clock: Callable[[], Instant]) -> Callable[[], float]:
    """Return only the monotonic clock of ``clock``, which takes half the time."""
    return time.monotonic if clock is now else lambda: clock().monotonic
