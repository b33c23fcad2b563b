"""werkzeug's threaded server with connections that are kept, and dropped at its end."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from werkzeug import Response
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class KeepAlive(WSGIRequestHandler):
    """
    Keep connections open between requests, quietly.

    werkzeug's own handler closes every connection, since it does not know whether the
    application has read the body; ours has, and a function that keeps its connection
    is what is to be tested.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request and leave the connection open."""
        response = Response.from_app(
            self.server.app, self.make_environ(), buffered=True
        )
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.get_data())

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  reason: werkzeug's name
        """Say nothing: the application records its requests."""


class LoopbackServer(ThreadedWSGIServer):
    """
    Serve ``app`` on a socket that listens already.

    Left to bind a port itself, werkzeug ends the whole process when it is taken.
    """

    def __init__(self, listener: socket.socket, app: WSGIApplication) -> None:
        self._connections: set[socket.socket] = set()
        host, port = listener.getsockname()
        super().__init__(host, port, app, KeepAlive, fd=listener.fileno())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Drop what is still connected, as a server that is gone does."""
        super().server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # its client was faster
                connection.shutdown(socket.SHUT_RDWR)
