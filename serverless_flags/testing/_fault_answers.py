"""How a faulty flag server answers one request, for each of its faults."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, Protocol

from werkzeug import Response

from serverless_flags.testing._fault_kinds import Exchange, Fault

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    class Server(Protocol):
        """What answers use of a `FaultyFlagServer`."""

        delay: float

        def take(self, exchange: Exchange, environ: WSGIEnvironment) -> Response:
            """Answer as a server without faults, and count what was sent."""

        def hold(self) -> None:
            """Wait until the server releases its requests."""

        def until_release(self) -> Callable[[], bool]:
            """Return what says whether requests are still held."""


DRIP = 0.01
"""Seconds between two bytes of an answer that drips."""

_INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 102 Processing\r\nServer: faulty\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
)
_CHUNKS = (b"1;" + b"x" * 1000 + b"\r\n \r\n") * 50
_TRAILERS = b"X-Trailer: without end\r\n" * 1000

_Answer = Callable[["Server", Exchange, "WSGIEnvironment"], Response]


def answer(server: Server, exchange: Exchange, environ: WSGIEnvironment) -> Response:
    """
    Answer one request as its fault says.

    Raises:
        ConnectionError: when the connection ends without an answer.
    """
    return _ANSWERS[exchange.fault](server, exchange, environ)


# -- answers that are one --------------------------------------------------------------
def _answered(server: Server, exchange: Exchange, environ: WSGIEnvironment) -> Response:
    return server.take(exchange, environ)


def _slow(server: Server, exchange: Exchange, environ: WSGIEnvironment) -> Response:
    response = server.take(exchange, environ)
    time.sleep(server.delay)
    return response


def _interim(server: Server, exchange: Exchange, environ: WSGIEnvironment) -> Response:
    environ["werkzeug.socket"].sendall(_INTERIM)
    return server.take(exchange, environ)


def _interim_late(
    server: Server, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    response = _interim(server, exchange, environ)
    time.sleep(server.delay)
    return response


# -- a no ------------------------------------------------------------------------------
def _refuse_with(status: int, **headers: str) -> _Answer:
    return lambda _server, _exchange, _environ: Response("not now", status, headers)


def _gateway(server: Server, exchange: Exchange, environ: WSGIEnvironment) -> Response:
    server.take(exchange, environ)
    return Response("too late", 504)


# -- no answer -------------------------------------------------------------------------
def _unheard(
    server: Server, _exchange: Exchange, _environ: WSGIEnvironment
) -> Response:
    server.hold()
    raise ConnectionAbortedError


def _unanswered(
    server: Server, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    response = server.take(exchange, environ)
    server.hold()
    return response


def _reset(_server: Server, _exchange: Exchange, environ: WSGIEnvironment) -> Response:
    connection = environ["werkzeug.socket"]
    at_once = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    os.close(connection.detach())
    raise ConnectionAbortedError


def _reset_late(
    server: Server, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    server.take(exchange, environ)
    return _reset(server, exchange, environ)


def _cut(server: Server, exchange: Exchange, environ: WSGIEnvironment) -> Response:
    status = server.take(exchange, environ).status
    head = f"HTTP/1.1 {status}\r\nContent-Length: 1000\r\n\r\n{{"
    environ["werkzeug.socket"].sendall(head.encode())
    raise ConnectionAbortedError


# -- an answer without end -------------------------------------------------------------
def _endless_interim(
    server: Server, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    server.take(exchange, environ)
    _send_on(server, environ, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _endless_headers(
    server: Server, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    status = server.take(exchange, environ).status
    head = f"HTTP/1.1 {status}\r\nX-Drip: ".encode()
    _send_on(server, environ, head, b"x", pause=DRIP)


def _endless_chunks(
    server: Server, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    head = _chunked_head(server.take(exchange, environ))
    _send_on(server, environ, head, _CHUNKS)


def _endless_trailers(
    server: Server, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    response = server.take(exchange, environ)
    head, body = _chunked_head(response), response.get_data()
    if body:
        head += b"%x\r\n%b\r\n" % (len(body), body)
    _send_on(server, environ, head + b"0\r\n", _TRAILERS)


def _chunked_head(response: Response) -> bytes:
    headers = [(k, v) for k, v in response.headers if k != "Content-Length"]
    headers.append(("Transfer-Encoding", "chunked"))
    lines = [f"HTTP/1.1 {response.status}", *(f"{k}: {v}" for k, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _send_on(
    server: Server,
    environ: WSGIEnvironment,
    first: bytes,
    piece: bytes,
    *,
    pause: float = 0.0,
) -> NoReturn:
    """Send ``piece`` again and again, until the release or until nobody reads."""
    connection = environ["werkzeug.socket"]
    held = server.until_release()
    try:
        connection.sendall(first)
        while held():
            connection.sendall(piece)
            time.sleep(pause)
    except OSError:  # of TLS too
        pass
    raise ConnectionAbortedError


_ANSWERS: dict[Fault, _Answer] = {
    Fault.NONE: _answered,
    Fault.REFUSED: _answered,  # it came before the server stopped to listen
    Fault.UNHEARD: _unheard,
    Fault.UNANSWERED: _unanswered,
    Fault.RESET: _reset,
    Fault.RESET_LATE: _reset_late,
    Fault.ERROR: _refuse_with(500),
    Fault.UNAVAILABLE: _refuse_with(503),
    Fault.DRAINED: _refuse_with(503, Connection="close"),
    Fault.GATEWAY: _gateway,
    Fault.CUT: _cut,
    Fault.SLOW: _slow,
    Fault.INTERIM: _interim,
    Fault.INTERIM_LATE: _interim_late,
    Fault.ENDLESS_INTERIM: _endless_interim,
    Fault.ENDLESS_HEADERS: _endless_headers,
    Fault.ENDLESS_CHUNKS: _endless_chunks,
    Fault.ENDLESS_TRAILERS: _endless_trailers,
}
