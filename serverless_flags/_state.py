"""Where a session stands in the life of its instance."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """``NEW → STARTING → READY ⇄ DEGRADED → TERMINATING → CLOSED``; a fork: NEW."""

    NEW = "new"  # nothing has been imported, opened or asked
    STARTING = "starting"  # one thread imports the client and asks for flags
    READY = "ready"  # flags are known, from the server or from a snapshot
    DEGRADED = "degraded"  # none are: defaults are served, each due refresh tries again
    TERMINATING = "terminating"  # told of the end; each ending invocation flushes
    CLOSED = "closed"  # evaluates from the last state, counts nothing
