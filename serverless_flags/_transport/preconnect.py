"""A connection that is begun before the modules which use it are imported."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask

if TYPE_CHECKING:
    import socket

    from serverless_flags._transport.connector import Connector


class Preconnect:
    """
    One TCP connection on its way: a round trip that imports need not wait for.

    Args:
        route: the way to the server.
        timeout: seconds that connecting may take.
    """

    def __init__(self, route: Connector, timeout: float) -> None:
        self.route = route
        self._timeout = timeout
        self._sockets: deque[socket.socket] = deque()
        self._unwanted = False
        self._errand = BackgroundTask(self._connect).start()

    def _connect(self) -> None:
        if self.route.resolve_here():
            self._open()
        if self._unwanted:
            self.close()

    def _open(self) -> None:
        with contextlib.suppress(Exception):  # the request connects again and says why
            self._sockets.append(self.route.connect(time.monotonic() + self._timeout))

    def take(self, deadline: float) -> socket.socket | None:
        """Return the connection, once; None when there is none before ``deadline``."""
        self._errand.wait(deadline - time.monotonic())
        try:
            return self._sockets.pop()
        except IndexError:
            self._unwanted = True
            return None

    def close(self) -> None:
        """Let go of the connection, now or when it comes."""
        self._unwanted = True
        with contextlib.suppress(IndexError):
            self._sockets.pop().close()
