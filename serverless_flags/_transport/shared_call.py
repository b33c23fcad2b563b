"""Share one call of a slow function between callers, each with its own deadline."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask, Completion
from serverless_flags._passing import passes

if TYPE_CHECKING:
    from collections.abc import Callable


class Call(Completion):
    """One call of the function, and the exception it raised."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None


class SharedCall:
    """
    A function that cannot be interrupted, such as ``getaddrinfo``.

    It runs on a background thread, once for all callers that need it at the same time,
    and each caller waits no longer than its own deadline. A call that outlasts its
    callers continues, and later callers join it.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._call: Call | None = None

    def wait(self, deadline: float, *, may_start: bool = True) -> Call | None:
        """
        Return the completed call, or None if it has not ended before ``deadline``.

        Args:
            deadline: on the monotonic clock.
            may_start: False where no thread can be started, as when the interpreter
                exits; then only a call in progress is waited for.
        """
        call, owned = self._claim(may_start=may_start)
        if call is None:
            return None
        if owned:
            caller = threading.get_ident()
            BackgroundTask(lambda: self._run(call, caller)).start()
        return call if call.wait(deadline - time.monotonic()) else None

    def run_here(self) -> None:
        """Call the function on this thread, unless a call is in progress."""
        call, owned = self._claim(may_start=True)
        if owned and call is not None:
            self._run(call)

    def _claim(self, *, may_start: bool) -> tuple[Call | None, bool]:
        """Return the call to wait for, and whether the caller has to run it."""
        with self._lock:
            if self._call is not None and not self._call.ended:
                return self._call, False
            if not may_start:
                return None, False
            self._call = Call()
            return self._call, True

    def _run(self, call: Call, caller: int | None = None) -> None:
        try:
            self._function()
        except BaseException as error:
            call.error = error
            on_caller = threading.get_ident() == caller  # no thread could be started
            if on_caller and (not isinstance(error, Exception) or passes(error)):
                raise
        finally:
            call.end()
