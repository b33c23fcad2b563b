"""The state and the status of a session."""

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """``NEW → STARTING → READY ⇄ DEGRADED → TERMINATING → CLOSED``; a fork: NEW."""

    NEW = "new"  # nothing has been imported, opened or requested
    STARTING = "starting"  # a thread imports the client and requests the flags
    READY = "ready"  # flags are known, from the server or from a snapshot
    DEGRADED = "degraded"  # no flags: defaults are served, each due refresh tries again
    TERMINATING = "terminating"  # after a shutdown notice: each invocation flushes
    CLOSED = "closed"  # evaluates the last flags and counts nothing


class Status(NamedTuple):
    """The status of a session; a field is None when its client cannot know it."""

    state: State
    platform: str
    source: str
    """Where the flags come from: ``server``, ``snapshot``, ``client`` or ``none``."""
    age: float | None
    """Seconds since the server last confirmed the flags."""
    flags: int | None
    """The number of known flags."""
    termination: str
    """``connected``, or why the session will get no shutdown notice."""
    flush_interval: float
    """Seconds between flushes; 0: at the end of every invocation."""
    uncounted: int
    """Evaluations that will never be counted."""
    unknown_counts: int
    """Evaluations whose counts were sent, but never acknowledged by the server."""
    last_error: str | None
    """Why the start, or the last refresh or flush, failed; None after a success."""
    unknown_flags: tuple[str, ...] = ()
    """Names that your code evaluates and that are not among the known flags."""
