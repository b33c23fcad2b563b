"""Where a session stands, and what else it tells of itself."""

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """``NEW → STARTING → READY ⇄ DEGRADED → TERMINATING → CLOSED``; a fork: NEW."""

    NEW = "new"  # nothing has been imported, opened or asked
    STARTING = "starting"  # one thread imports the client and asks for flags
    READY = "ready"  # flags are known, from the server or from a snapshot
    DEGRADED = "degraded"  # none are: defaults are served, each due refresh tries again
    TERMINATING = "terminating"  # told of the end; each ending invocation flushes
    CLOSED = "closed"  # evaluates from the last state, counts nothing


class Status(NamedTuple):
    """What a session knows of itself; None for what its client cannot know."""

    state: State
    platform: str
    source: str
    """Where the flags are from: ``server``, ``snapshot``, ``client`` or ``none``."""
    age: float | None
    """Seconds since the server last confirmed the flags."""
    flags: int | None
    """How many flags are known."""
    termination: str
    """``connected``, or why the end of the instance will not be heard."""
    flush_interval: float
    """Seconds between flushes; 0: at the end of every invocation."""
    uncounted: int
    """Evaluations that will never be counted."""
    unknown_counts: int
    """Evaluations whose counts were sent and never answered."""
    last_error: str | None
    unknown_flags: tuple[str, ...] = ()
    """Names that were asked for and that the flag state does not have."""
