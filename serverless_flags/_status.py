"""Where a session stands, and what else it tells of itself."""

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from serverless_flags._process.state import ProcessState


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


def status_of(instance: "ProcessState", platform: str) -> Status:
    """Read the status of one session in this process."""
    parts = instance.parts
    if parts is not None and instance.state is State.CLOSED:
        parts.flusher.give_up()  # what was evaluated since
    refresher = None if parts is None else parts.refresher
    counts = None if parts is None else parts.flusher.counts
    source = "none" if refresher is None else refresher.source
    if source == "none" and instance.state is State.READY:
        source = "client"
    errors = [instance.start_error]
    if parts is not None:
        errors += [parts.refresher.last_error, parts.flusher.last_error]
    client = instance.client
    uncounted = instance.uncounted.value + getattr(client, "uncounted", 0)
    return Status(
        state=instance.state,
        platform=platform,
        source=source,
        age=None if refresher is None else refresher.freshness.age(instance.clock()),
        flags=None if refresher is None else refresher.flags,
        termination=instance.connection.termination,
        flush_interval=instance.flush_interval,
        uncounted=uncounted + (counts.uncounted if counts else 0),
        unknown_counts=counts.unknown if counts else 0,
        last_error=next((error for error in errors if error), None),
        unknown_flags=tuple(getattr(client, "unknown_flags", ())),
    )
