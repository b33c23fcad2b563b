"""A flag server that fails on demand, as servers and the networks before them do."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from werkzeug import Response

from serverless_flags.testing._serving import LoopbackServer
from serverless_flags.testing.flag_server import FlagServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MOST_EXCHANGES = 10_000


class Fault(Enum):
    """What becomes of every request until the fault is another one."""

    NONE = "none"  # it is answered
    REFUSED = "refused"  # nobody listens
    UNHEARD = "unheard"  # it gets lost and is never answered
    UNANSWERED = "unanswered"  # the server acts on it and never answers
    RESET = "reset"  # the connection is reset before the server acts on it
    RESET_LATE = "reset late"  # the connection is reset instead of an answer
    ERROR = "error"  # 500, and the server has not acted on it
    UNAVAILABLE = "unavailable"  # 503, likewise
    GATEWAY = "gateway"  # 504, though the server has acted on it
    CUT = "cut"  # the answer ends in the middle
    SLOW = "slow"  # it is answered after `delay` seconds


@dataclass(slots=True)
class Exchange:
    """One request and what became of it."""

    method: str
    path: str
    body: bytes
    began: float
    """By ``time.monotonic``."""
    fault: Fault
    sender: str = ""
    """The process that sent it, by its ``unleash-connection-id``."""
    taken: bool = False
    """Whether the server acted on it."""
    status: int | None = None
    """The status that was answered in full, if one was."""


class FaultyFlagServer(FlagServer):
    """
    A `FlagServer` whose `fault` and `delay` may be set at any time.

    Args:
        flags: as `FlagServer` takes them.
        round_trip: seconds to the server and back: for the connection, for TLS and for
            each request.
        tls: makes the server speak https.
        options: those of `FlagServer`.
    """

    def __init__(
        self,
        flags: Mapping[str, Any] | Path,
        *,
        round_trip: float = 0.0,
        tls: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        super().__init__(flags, **options)
        self.delay = 0.0
        """Seconds that ``Fault.SLOW`` takes."""
        self.exchanges: deque[Exchange] = deque(maxlen=_MOST_EXCHANGES)
        self.round_trip = round_trip
        self.tls = tls
        self._fault = Fault.NONE
        self._place: socket.socket | None = None
        self._changed = threading.Condition()
        self._releases = 0
        self._held = 0

    @property
    def url(self) -> str:
        """The address as UnleashClient's ``url``: it ends in ``/api``."""
        return super().url.replace("http:", "https:", 1) if self.tls else super().url

    @property
    def fault(self) -> Fault:
        """What becomes of the requests that arrive now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.REFUSED:
            super().stop()
        else:
            self.start()

    def start(self) -> None:
        """Answer requests; while nobody listens the port is kept from others."""
        if self._place is None:
            self._place = socket.socket()
            self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._place.bind(("127.0.0.1", self.port))
            self.port = self._place.getsockname()[1]
        super().start()

    def release(self) -> None:
        """Let go of the requests that wait: what the server acted on is answered."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def wait_for_held(self, requests: int, timeout: float) -> bool:
        """Wait until so many requests wait for their release."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held >= requests, timeout)

    def stop(self) -> None:
        """Refuse new connections, drop the kept ones and what waits on them."""
        super().stop()
        if self._place is not None:
            self._place.close()
            self._place = None
        self.release()

    # -- one request ---------------------------------------------------------------
    def _open(self, listener: socket.socket) -> LoopbackServer:
        return _DistantServer(listener, self._answer, self.round_trip, self.tls)

    def _answer(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request as the fault says; a WSGI application."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        if len(body) < length:  # the client has given up
            raise ConnectionAbortedError
        exchange = Exchange(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            body,
            time.monotonic(),
            self._fault,
            environ.get("HTTP_UNLEASH_CONNECTION_ID", ""),
        )
        self.exchanges.append(exchange)
        time.sleep(self.round_trip / 2)
        response = _ANSWERS[exchange.fault](self, exchange, environ)
        time.sleep(self.round_trip / 2)
        exchange.status = response.status_code
        return response(environ, start_response)

    def take(self, exchange: Exchange, environ: WSGIEnvironment) -> Response:
        """Let the server act on a request; return its answer."""
        environ["wsgi.input"] = io.BytesIO(exchange.body)
        response = Response.from_app(self._api, environ, buffered=True)
        exchange.taken = True
        return response

    def hold(self) -> None:
        """Wait for the release."""
        with self._changed:
            before = self._releases
            self._held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._releases > before)
            self._held -= 1


_Answer = Callable[[FaultyFlagServer, Exchange, "WSGIEnvironment"], Response]


def _answered(
    server: FaultyFlagServer, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    return server.take(exchange, environ)


def _slow(
    server: FaultyFlagServer, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    response = server.take(exchange, environ)
    time.sleep(server.delay)
    return response


def _unheard(
    server: FaultyFlagServer, _exchange: Exchange, _environ: WSGIEnvironment
) -> Response:
    server.hold()
    raise ConnectionAbortedError


def _unanswered(
    server: FaultyFlagServer, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    response = server.take(exchange, environ)
    server.hold()
    return response


def _reset(
    _server: FaultyFlagServer, _exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    connection = environ["werkzeug.socket"]
    at_once = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    os.close(connection.detach())
    raise ConnectionAbortedError


def _reset_late(
    server: FaultyFlagServer, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    server.take(exchange, environ)
    return _reset(server, exchange, environ)


def _refuse_with(status: int) -> _Answer:
    return lambda _server, _exchange, _environ: Response("not now", status)


def _gateway(
    server: FaultyFlagServer, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    server.take(exchange, environ)
    return Response("too late", 504)


def _cut(
    server: FaultyFlagServer, exchange: Exchange, environ: WSGIEnvironment
) -> Response:
    status = server.take(exchange, environ).status
    head = f"HTTP/1.1 {status}\r\nContent-Length: 1000\r\n\r\n{{"
    environ["werkzeug.socket"].sendall(head.encode())
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
    Fault.GATEWAY: _gateway,
    Fault.CUT: _cut,
    Fault.SLOW: _slow,
}


class _DistantServer(LoopbackServer):
    """A server to which the way is long, or encrypted."""

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
