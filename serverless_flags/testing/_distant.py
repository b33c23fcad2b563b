"""A server on loopback to which the way is long, or encrypted."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from serverless_flags.testing._wsgi_server import LoopbackServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication


class DistantServer(LoopbackServer):
    """
    A server behind a network.

    Args:
        listener: the socket that listens already.
        app: the WSGI application.
        round_trip: seconds that opening a connection takes, and TLS as much again.
        tls: makes the server speak https.
    """

    def __init__(
        self,
        listener: socket.socket,
        app: WSGIApplication,
        round_trip: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._round_trip = round_trip
        self._tls = tls
        super().__init__(listener, app)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, on its own thread."""
        time.sleep(self._round_trip)
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        time.sleep(self._round_trip)
        try:
            encrypted = self._tls.wrap_socket(request, server_side=True)
        except OSError:  # the client does not trust us, or is gone
            return
        with encrypted:
            super().finish_request(encrypted, client_address)


class Listening:
    """
    A server that answers from a daemon thread.

    Args:
        address: the loopback address and the port to listen at.
        build: returns the server of a listening socket.
    """

    def __init__(
        self,
        address: tuple[str, int],
        build: Callable[[socket.socket], LoopbackServer],
    ) -> None:
        with socket.create_server(address, backlog=128) as listener:
            self._server = build(listener)  # it keeps a duplicate
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="serverless-flags-server",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Refuse new connections and drop the kept ones."""
        self._server.shutdown()
        self._thread.join()
