"""Close a session that was garbage-collected while it was open."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from serverless_flags._errand import Errand
from serverless_flags._status import State

if TYPE_CHECKING:
    from serverless_flags._instance import Instance
    from serverless_flags._session import FlagSession


def when_collected(
    session: FlagSession, instance: Instance
) -> weakref.finalize[[Instance], FlagSession]:
    """
    Close the session's instance in this process when the session is collected.

    The instance must not refer to the session: held here, it is never garbage itself,
    and neither are its engines, whose memory would be freed before its last flush.
    """
    finalizer = weakref.finalize(session, _close, instance)
    finalizer.atexit = False  # then the session is closed in order
    return finalizer


def _close(instance: Instance) -> None:
    """
    Send the counts of a collected session in the background, or say what is lost.

    Takes no lock and starts a bare thread: the garbage collector may run anywhere.
    """
    if instance.state in {State.NEW, State.CLOSED}:
        return
    instance.collected = True
    closing = _Closing(instance)
    if not Errand(
        closing.run
    ).start_thread():  # the interpreter exits, or no thread is left
        instance.close(0.0)


class _Closing:
    """The last flush of a collected session, which the end of the process waits for."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._done = threading.Event()

    def run(self) -> None:
        """Close the instance on this thread."""
        from serverless_flags import signals  # sockets: not at import

        timeout = self._instance.settings.request_timeout
        signals.connect_exit(self, grace=timeout)
        try:
            self._instance.close(timeout)
        finally:
            self._done.set()

    def terminate(self, timeout: float) -> None:
        """Wait for the end of the flush."""
        self._done.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Wait for the end of the flush."""
        return self._done.wait(timeout)
