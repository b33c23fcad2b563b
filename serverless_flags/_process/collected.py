"""Close a session that was garbage-collected while it was open."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask
from serverless_flags._state import State

if TYPE_CHECKING:
    from serverless_flags._process.state import ProcessState


def when_collected(
    session: object, process: ProcessState
) -> weakref.finalize[[ProcessState], object]:
    """
    Close the session's state in this process when the session is garbage-collected.

    The state must not refer to the session. The finalizer keeps the state alive and,
    with it, the engines, whose memory would otherwise be freed before the last flush.
    """
    finalizer = weakref.finalize(session, _close, process)
    finalizer.atexit = False  # at exit, `signals` closes the session
    return finalizer


def _close(process: ProcessState) -> None:
    """
    Send the counts of a collected session in the background, or log what is lost.

    Acquires no lock and starts a bare thread: the garbage collector may run anywhere.
    """
    if process.state in {State.NEW, State.CLOSED}:
        return
    process.collected = True
    closing = _Closing(process)
    if not BackgroundTask(closing.run).start_thread():  # the interpreter exits
        process.close(0.0)
        closing.end()


class _Closing:
    """The last flush of a collected session; the process waits for it at its exit."""

    def __init__(self, process: ProcessState) -> None:
        self._process = process
        self._pid = os.getpid()
        self._done = threading.Event()
        _closings.append(self)

    def run(self) -> None:
        """Close the session's state on this thread."""
        from serverless_flags import signals  # sockets: not at import

        timeout = self._process.settings.request_timeout
        try:
            signals.connect_exit(self, grace=timeout)
            self._process.close(timeout)
        finally:
            self.end()

    def end(self) -> None:
        """Note that the flush has ended, so that the process no longer waits for it."""
        self._done.set()
        _closings.remove(self)

    def terminate(self, timeout: float) -> None:
        """Wait for the end of the flush."""
        self.close(timeout)

    def close(self, timeout: float) -> bool:
        """Wait for the end of the flush; a forked child has no flush to wait for."""
        return self._pid != os.getpid() or self._done.wait(timeout)

    def close_at_exit(self) -> None:
        """Wait for the end of the flush, for at most ``request_timeout``."""
        self.close(self._process.settings.request_timeout)


_closings: list[_Closing] = []


def _wait_for_closings() -> None:
    for closing in _closings:
        closing.close_at_exit()


atexit.register(_wait_for_closings)  # at import: it cannot be registered during exit
