"""Interrupt code that hangs, and report where."""

from __future__ import annotations

import contextlib
import signal
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from typing_extensions import Self


class Hung(BaseException):
    """Raised into code that takes too long."""


class Watchdog:
    """
    Raises `Hung` on the main thread after some seconds, and again each second.

    Args:
        seconds: the time limit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._previous: Any = None
        self.expired = False
        self.where = ""

    def _expire(self, signum: int, frame: FrameType | None) -> None:
        self.expired = True
        places = [
            f"{part.filename.rsplit('/', 1)[-1]}:{part.name}:{part.lineno}"
            for part in traceback.extract_stack(frame)
            if "serverless_flags" in part.filename
        ]
        self.where = (
            self.where or " < ".join(reversed(places[-3:])) or "not in the package"
        )
        raise Hung(self.where)

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGALRM, self._expire)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, 1.0)
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._previous)

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Watch another block; if it hangs, it ends without an exception."""
        self.expired = False
        with self, contextlib.suppress(Hung):
            yield
