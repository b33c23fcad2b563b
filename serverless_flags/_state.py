"""The states of a session."""

from enum import Enum


class State(Enum):
    """``NEW → STARTING → READY ⇄ DEGRADED → TERMINATING → CLOSED``; a fork: NEW."""

    NEW = "new"  # nothing has been imported, opened or requested
    STARTING = "starting"  # a thread imports the client and requests the flags
    READY = "ready"  # flags are known, from the server or from a snapshot
    DEGRADED = "degraded"  # no flags: defaults are served, each due refresh tries again
    TERMINATING = "terminating"  # after a shutdown notice: each invocation flushes
    CLOSED = "closed"  # evaluates the last flags and counts nothing
