"""One request for flags, and the flags that a forked process inherits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._background import Completion
from serverless_flags._work.backoff import OVERRUN

if TYPE_CHECKING:
    from serverless_flags._clock import Instant
    from serverless_flags._protocols import Fetched


class Refresh(Completion):
    """
    One request for flags; it ends with its answer or its failure.

    Args:
        generation: the higher, the newer.
        began: when it was started.
        etag: the ETag of the flags at that time.
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
        """Whether a freeze may have interrupted it: its failure proves nothing then."""
        self._freezes = freezes
        self._awake = began

    def note_awake(self, moment: Instant) -> None:
        """Record that the process runs; a gap since the last call may be a freeze."""
        if self._freezes and moment.since(self._awake) > OVERRUN:
            self.cut_off = True
        self._awake = moment


class InheritedFlags:
    """The flags that a forked process begins with, and their age."""

    __slots__ = ("body", "confirmed", "etag", "source")

    def __init__(
        self, body: str, etag: str | None, source: str, confirmed: Instant | None
    ) -> None:
        self.body, self.etag = body, etag
        self.source, self.confirmed = source, confirmed
