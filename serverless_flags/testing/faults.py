"""A flag server that fails on demand, as servers and the networks before them do."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from werkzeug import Response

from serverless_flags.testing._distant import DistantServer, Listening
from serverless_flags.testing._fault_answers import answer
from serverless_flags.testing._fault_kinds import Exchange, Fault
from serverless_flags.testing.flag_server import FlagServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from serverless_flags.testing._wsgi_server import LoopbackServer

__all__ = ["Exchange", "Fault", "FaultyFlagServer"]

ADDRESSES = ("127.0.0.1", "127.0.0.2")
"""Where a server may be; the second only after it has moved."""

_MOST_EXCHANGES = 10_000


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
        self.address = ADDRESSES[0]
        """The loopback address at which requests are answered."""
        self._second: Listening | None = None
        self._has_moved = False

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
            self._close_doors()
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
        if self._has_moved and self._second is None:
            self._second = Listening((ADDRESSES[1], self.port), self._open)

    def move(self) -> str:
        """
        Answer at the other loopback address, same port, and return it.

        Who asks at the one that was left gets 503 and a closed connection, as from a
        node that a load balancer drains. Needs an operating system that has the whole
        of 127.0.0.0/8, as Linux does.
        """
        self._has_moved = True
        if self._fault is not Fault.REFUSED:
            self.start()
        self.address = ADDRESSES[self.address == ADDRESSES[0]]
        return self.address

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
        self._close_doors()
        if self._place is not None:
            self._place.close()
            self._place = None
        self.release()

    def _close_doors(self) -> None:
        super().stop()
        second, self._second = self._second, None
        if second is not None:
            second.stop()

    # -- one request ---------------------------------------------------------------
    def _open(self, listener: socket.socket) -> LoopbackServer:
        return DistantServer(listener, self._answer, self.round_trip, self.tls)

    def _answer(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request as the fault says; a WSGI application."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        if len(body) < length:  # the client has given up
            raise ConnectionAbortedError
        left = environ["werkzeug.socket"].getsockname()[0] != self.address
        exchange = Exchange(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            body,
            time.monotonic(),
            Fault.DRAINED if left else self._fault,
            environ.get("HTTP_UNLEASH_CONNECTION_ID", ""),
            left=left,
        )
        self.exchanges.append(exchange)
        time.sleep(self.round_trip / 2)
        try:
            response = answer(self, exchange, environ)
        finally:
            exchange.ended = time.monotonic()
        time.sleep(self.round_trip / 2)
        exchange.status = response.status_code
        return response(environ, start_response)

    def take(self, exchange: Exchange, environ: WSGIEnvironment) -> Response:
        """Let the server act on a request; return its answer."""
        environ["wsgi.input"] = io.BytesIO(exchange.body)
        response = Response.from_app(self._api, environ, buffered=True)
        exchange.taken = True
        return response

    def until_release(self) -> Callable[[], bool]:
        """Return what tells whether the next release is still to come."""
        before = self._releases
        return lambda: self._releases == before

    def hold(self) -> None:
        """Wait for the release."""
        with self._changed:
            before = self._releases
            self._held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._releases > before)
            self._held -= 1
