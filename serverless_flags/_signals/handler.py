"""Our SIGTERM handler, and its place among those of others."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # reason: it has no stub
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # with its protocol, which takes 0.1 ms to define
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Protocol

    class Owner(Protocol):
        """What a handler works for."""

        def on_sigterm(self) -> bool:
            """
            Flush, or have it done elsewhere.

            Returns:
                True when who does it also ends the process, where nobody else
                has SIGTERM.
            """

        def kill(self) -> None:
            """Let the signal end the process, by its default action."""


SIGTERM = int(signal.SIGTERM)
SIG_DFL = int(signal.SIG_DFL)

MOST = 8
"""How often other handlers may take SIGTERM before one of them is left in place."""

current_handler: Callable[[int], Any] = _signal.getsignal
"""What `signal.getsignal` calls, which makes an enumeration's member of the answer: up
to 5 µs before Python 3.13, and each invocation asks at its end."""


class Handler:
    """
    One handler, and all that it has to know when it is called.

    It is complete before it is installed, for the signal may come at once.

    Args:
        owner: the sessions of this process.
        previous: what is called afterwards, as `signal.getsignal` returns it.
        older: ours below ``previous``, which may call it.
    """

    __slots__ = ("_active", "older", "owner", "previous")

    def __init__(
        self, owner: Owner, previous: Any, older: Handler | None = None
    ) -> None:
        self.owner = owner
        self.previous = previous
        self.older = older
        self._active = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Flush; whatever that meets, do what would have happened without us."""
        is_ended_elsewhere = False
        try:
            is_ended_elsewhere = self.owner.on_sigterm()
        finally:
            if callable(self.previous):
                self._call_previous(signum, frame)
            elif self.previous == SIG_DFL and not is_ended_elsewhere:
                self.owner.kill()

    def _call_previous(self, signum: int, frame: FrameType | None) -> None:
        if self._active and self.older is not None:  # called by `previous`
            self.older(signum, frame)
            return
        self._active = True
        try:
            self.previous(signum, frame)
        finally:
            self._active = False

    def above(self, found: Any) -> Handler | None:
        """
        Return a handler for the place of ``found``, which has displaced this one.

        It may call this one or not, and is called by the new one. None leaves it there:
        it is of those that come back again and again.
        """
        below = list(self._and_older())
        if len(below) >= MOST or any(one.previous == found for one in below):
            return None
        return Handler(self.owner, found, self)

    def _and_older(self) -> Iterator[Handler]:
        one: Handler | None = self
        while one is not None:
            yield one
            one = one.older
