"""Open a connection while the modules that will use it are being imported."""

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
    Opens one TCP connection in the background, in parallel with imports.

    Args:
        connector: opens the connection.
        timeout: seconds that connecting may take.
    """

    def __init__(self, connector: Connector, timeout: float) -> None:
        self.connector = connector
        self._timeout = timeout
        self._sockets: deque[socket.socket] = deque()
        self._unwanted = False
        self._task = BackgroundTask(self._connect).start()

    def _connect(self) -> None:
        if self.connector.resolve_here():
            self._open()
        if self._unwanted:
            self.close()

    def _open(self) -> None:
        deadline = time.monotonic() + self._timeout
        with contextlib.suppress(Exception):  # the request connects again and reports
            self._sockets.append(self.connector.connect(deadline))

    def take(self, deadline: float) -> socket.socket | None:
        """Return the connection, once; None if it is not open before ``deadline``."""
        self._task.wait(deadline - time.monotonic())
        try:
            return self._sockets.pop()
        except IndexError:
            self._unwanted = True
            return None

    def close(self) -> None:
        """Close the connection, now or as soon as it is open."""
        self._unwanted = True
        with contextlib.suppress(IndexError):
            self._sockets.pop().close()
