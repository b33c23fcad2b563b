"""One request for flags, and the flags that a copy of the process begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._background import Completion
from serverless_flags._work.backoff import OVERRUN

if TYPE_CHECKING:
    from serverless_flags._clock import Instant
    from serverless_flags._protocols import Fetched


class Refresh(Completion):
    """
    One request for flags; it ends when its answer is in or will not come.

    Args:
        generation: the higher, the newer.
        began: when it was asked for.
        etag: of the flags that it asks about.
        freezes: whether the platform may freeze the process between invocations.
    """

    def __init__(
        self, generation: int, began: Instant, etag: str | None, *, freezes: bool
    ) -> None:
        super().__init__()
        self.generation = generation
        self.began = began
        self.sent = began
        self.etag = etag
        self.fetched: Fetched | None = None
        self.confirmed = False
        """Whether the answer confirmed the flags."""
        self.cut_off = False
        """Whether a freeze may have cut it off, so that its failure says nothing."""
        self._freezes = freezes
        self._awake = began

    def note_awake(self, moment: Instant) -> None:
        """Note that the process runs; a gap since the last time may be a freeze."""
        if self._freezes and moment.since(self._awake) > OVERRUN:
            self.cut_off = True
        self._awake = moment


class InheritedFlags:
    """What a copy of a process begins with: the flags, as old as they are."""

    __slots__ = ("body", "confirmed", "etag", "source")

    def __init__(
        self, body: str, etag: str | None, source: str, confirmed: Instant | None
    ) -> None:
        self.body, self.etag = body, etag
        self.source, self.confirmed = source, confirmed
