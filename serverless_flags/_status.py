"""The status of a session; imported only when it is asked for."""

from typing import NamedTuple

from serverless_flags._state import State


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
