"""The SIGTERM handler of this package, which also calls the handlers it replaced."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # reason: it has no stub
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the protocol too: defining one takes 0.1 ms of a cold start
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Protocol

    class Owner(Protocol):
        """The sessions that a handler flushes."""

        def on_sigterm(self) -> bool:
            """
            Flush, or let another thread flush.

            Returns:
                True when that thread also ends the process, unless another handler is
                installed.
            """

        def kill(self) -> None:
            """End the process by the default action of the signal."""


SIGTERM = int(signal.SIGTERM)
SIG_DFL = int(signal.SIG_DFL)

MAX_REPLACED = 8
"""How many other handlers are replaced before the next one is left in place."""

current_handler: Callable[[int], Any] = _signal.getsignal
"""The C function behind `signal.getsignal`, which turns its result into an enumeration
member: up to 5 µs before Python 3.13, at the end of each invocation."""


class Handler:
    """
    One SIGTERM handler, and everything that it needs when it is called.

    It is complete before it is installed, because the signal may arrive at once.

    Args:
        owner: the sessions of this process.
        previous: the handler to call afterwards, as `signal.getsignal` returns it.
        older: the `Handler` that ``previous`` has replaced and may call.
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
        """Flush, then call the previous handler, or end as the default action does."""
        is_ended_elsewhere = False
        try:
            is_ended_elsewhere = self.owner.on_sigterm()
        finally:
            if callable(self.previous):
                self._call_previous(signum, frame)
            elif self.previous == SIG_DFL and not is_ended_elsewhere:
                self.owner.kill()

    def _call_previous(self, signum: int, frame: FrameType | None) -> None:
        if self._active and self.older is not None:  # `previous` has called this one
            self.older(signum, frame)
            return
        self._active = True
        try:
            self.previous(signum, frame)
        finally:
            self._active = False

    def successor(self, found: Any) -> Handler | None:
        """
        Return a handler to install in place of ``found``, which has replaced this one.

        The new handler calls ``found``, which may call this one. None means to leave
        ``found`` in place, because it installs itself again and again.
        """
        chain = list(self._chain())
        if len(chain) >= MAX_REPLACED or any(h.previous == found for h in chain):
            return None
        return Handler(self.owner, found, self)

    def _chain(self) -> Iterator[Handler]:
        """Yield this handler and the older ones."""
        handler: Handler | None = self
        while handler is not None:
            yield handler
            handler = handler.older
