"""Whether the end of this process will be heard, and why not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serverless_flags._plugins import Plugins
    from serverless_flags._session import FlagSession


class Connection:
    """The platform's signals, connected once per process and moment."""

    def __init__(self) -> None:
        self.hears_end = False
        self.moments: set[str] = set()
        """When the platform was asked: ``wrap``, ``first_invocation``."""
        self._why_deaf = "the platform gives no signal here"
        self._lock = threading.Lock()

    def connect(self, session: FlagSession, plugins: Plugins, at: str) -> None:
        """Let the platform connect its signals; whoever comes second waits."""
        if at in self.moments:
            return
        from serverless_flags import signals  # sockets: not at import

        with self._lock:
            if at in self.moments:
                return
            platform = plugins.platform
            signals.connect_exit(session, grace=platform.shutdown_grace)
            heard, why = plugins.connect_instance(session, at)
            self.hears_end = self.hears_end or heard or platform.ends_in_order
            self._why_deaf = why or self._why_deaf
            self.moments.add(at)

    @property
    def termination(self) -> str:
        """``connected``, or why the end will not be heard."""
        if self.hears_end:
            return "connected"
        if not self.moments:
            return "not connected yet: nothing was wrapped or invoked"
        return f"not connected: {self._why_deaf}"
