"""The faults of a flag server, and one request with what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """What becomes of every request until the fault is another one."""

    NONE = "none"  # it is answered
    REFUSED = "refused"  # nobody listens
    UNHEARD = "unheard"  # it gets lost and is never answered
    UNANSWERED = "unanswered"  # the server acts on it and never answers
    RESET = "reset"  # the connection is reset before the server acts on it
    RESET_LATE = "reset late"  # the connection is reset instead of an answer
    ERROR = "error"  # 500, and the server has not acted on it
    UNAVAILABLE = "unavailable"  # 503, likewise
    DRAINED = "drained"  # 503, likewise, and the connection is closed
    GATEWAY = "gateway"  # 504, though the server has acted on it
    CUT = "cut"  # the answer ends in the middle
    SLOW = "slow"  # it is answered after `delay` seconds
    INTERIM = "interim"  # 1xx responses come before the answer
    INTERIM_LATE = "interim late"  # likewise, and the answer `delay` seconds later
    ENDLESS_INTERIM = "endless interim"  # 100 Continue without end, and no answer
    ENDLESS_HEADERS = "endless headers"  # the head of the answer drips without end
    ENDLESS_CHUNKS = "endless chunks"  # its body is a byte a chunk, without end
    ENDLESS_TRAILERS = "endless trailers"  # its body is whole, its trailers never end

    @property
    def answers(self) -> bool:
        """Whether a client that follows RFC 9110 gets what it asked for."""
        return self in _ANSWERS

    @property
    def endless(self) -> bool:
        """Whether the server sends until the client goes away."""
        return self.value.startswith("endless")


_ANSWERS = {Fault.NONE, Fault.SLOW, Fault.INTERIM, Fault.INTERIM_LATE}


@dataclass(slots=True)
class Exchange:
    """One request and what became of it."""

    method: str
    path: str
    body: bytes
    began: float
    """By ``time.monotonic``."""
    fault: Fault
    sender: str = ""
    """The process that sent it, by its ``unleash-connection-id``."""
    taken: bool = False
    """Whether the server acted on it."""
    status: int | None = None
    """The status that was answered in full, if one was."""
    ended: float | None = None
    """When the server knew its answer, or had none to give any more."""
    left: bool = False
    """Whether it came to an address that the server had left."""
