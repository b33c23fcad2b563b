"""Close a session that was garbage-collected while it was open."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from serverless_flags._errand import start_bare

if TYPE_CHECKING:
    from serverless_flags._instance import Instance


def close_collected(instance: Instance) -> None:
    """
    Send the counts of a collected session in the background, or say what is lost.

    Takes no lock and starts a bare thread: the garbage collector may run anywhere.
    """
    instance.collected = True
    closing = _Closing(instance)
    if start_bare(closing.run) is None:  # the interpreter exits, or no thread is left
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
