"""One call at a time of a function without a deadline; its callers each have one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask, Completion
from serverless_flags._passing import passes

if TYPE_CHECKING:
    from collections.abc import Callable


class Call(Completion):
    """One call of the function, and what it raised."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None


class SharedCall:
    """
    A function that nobody can interrupt, such as a name's resolution.

    It runs on a thread of its own. However many callers need it at once, it is called
    once, and each of them waits no longer than its own deadline. A call that outlives
    its callers goes on, and callers that come meanwhile join it.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._call: Call | None = None

    def wait(self, deadline: float, *, may_start: bool = True) -> Call | None:
        """
        Return the call that ended, or None when none did before ``deadline``.

        Args:
            deadline: on the monotonic clock.
            may_start: False where no thread can be started, as when the interpreter
                exits: then only a call that is under way is waited for.
        """
        call, mine = self._claim(may_start=may_start)
        if call is None:
            return None
        if mine:
            caller = threading.get_ident()
            BackgroundTask(lambda: self._run(call, caller)).start()
        return call if call.wait(deadline - time.monotonic()) else None

    def run_here(self) -> None:
        """Call the function on this thread, unless a call is under way already."""
        call, mine = self._claim(may_start=True)
        if mine and call is not None:
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
            borrowed = threading.get_ident() == caller  # no thread could be started
            if borrowed and (not isinstance(error, Exception) or passes(error)):
                raise
        finally:
            call.end()
