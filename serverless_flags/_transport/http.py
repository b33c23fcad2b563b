"""Requests to one server: one deadline each, three outcomes, one kept connection.

Written by hand on `http.client` because deadlines, cold starts and thaws are what this
package exists for: the usual libraries bound each read, not the whole exchange, retry
behind the caller's back, and do not say whether a byte had left.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from serverless_flags._passing import passes
from serverless_flags._protocols import Outcome
from serverless_flags._transport.resolver import TransportError
from serverless_flags._transport.response import Response, read_body
from serverless_flags._transport.stream import MOST_HEAD, Stream
from serverless_flags._version import __version__

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from serverless_flags._transport.connector import Connector
    from serverless_flags._transport.preconnect import Preconnect

USER_AGENT = f"serverless-flags/{__version__}"
"""Firewalls of web applications refuse requests without one."""

MOST_BYTES = 32 * 1024 * 1024
"""The largest body read, before and after decompression."""

IDLE_FOR_GET = 60.0
IDLE_FOR_POST = 4.0
"""Seconds after which a kept connection may be dead without having said so. A GET is
asked again on a new one; a POST never is, and Node's servers close after 5 s."""

KEPT_FOR = 300.0
"""Seconds after which a connection is opened anew, for the name may have moved."""

_NOT_MODIFIED = 304
_PROXY_AUTHENTICATION_REQUIRED = 407
_SUCCESS = range(200, 300)
_NOT_PROCESSED = frozenset({500, 503})


class Reply(NamedTuple):
    """What one request came to."""

    outcome: str
    status: int | None = None
    headers: Mapping[str, str] = {}
    body: bytes = b""
    error: str | None = None


class _IdleConnection(NamedTuple):
    connection: http.client.HTTPConnection
    stream: Stream
    since: tuple[float, float]

    def usable_for(self, method: str) -> bool:
        if _age(self.since) > (IDLE_FOR_GET if method == "GET" else IDLE_FOR_POST):
            return False
        return _age(self.stream.opened) <= KEPT_FOR and self.stream.quiet()


class HttpClient:
    """
    Requests to one server, over one kept connection while it lasts.

    Threads may share it: a connection in use belongs to its request, and a request
    that finds none kept opens its own, so none ever waits for another.

    Args:
        route: the way to the server.
        dial: a connection that was begun already, for the first request.
    """

    def __init__(self, route: Connector, dial: Preconnect | None = None) -> None:
        self._route = route
        self._dial = dial
        self._kept: deque[_IdleConnection] = deque()
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        timeout: float,
        exiting: bool = False,
    ) -> Reply:
        """
        Send one request and read its whole answer within ``timeout`` seconds.

        Redirects are answers, not followed: the token stays with its host. Nothing is
        sent twice, except a GET over a kept connection that broke without an answer.

        Args:
            method: ``GET`` or ``POST``.
            path: below the path of the URL.
            headers: for the server; the route's own are added.
            body: of a ``POST``.
            timeout: seconds for the whole exchange, connecting included.
            exiting: the interpreter exits: see `Connector.connect`.
        """
        deadline = time.monotonic() + timeout
        kept = self._take(method)
        if kept is not None:
            kept.stream.begin(deadline)
            reply = self._exchange(*kept[:2], method, path, headers, body)
            late = time.monotonic() >= deadline
            if kept.stream.answered or method != "GET" or late:
                return reply
        try:
            connection, stream = self._connect(deadline, exiting=exiting)
        except Exception as error:
            if passes(error):
                raise
            return self._failed(error, "while connecting", Outcome.NOT_DELIVERED)
        return self._exchange(connection, stream, method, path, headers, body)

    def close(self) -> None:
        """Keep no connection from now on; requests in flight go on."""
        self._closed = True
        self._drop_kept(0)
        if self._dial is not None:
            self._dial.close()

    def _drop_kept(self, most: int) -> None:
        """Keep at most this number of connections, the newest."""
        with contextlib.suppress(IndexError):
            while len(self._kept) > most:
                self._kept.popleft().stream.end()

    def _take(self, method: str) -> _IdleConnection | None:
        try:
            kept = self._kept.pop()
        except IndexError:
            return None
        if kept.usable_for(method):
            return kept
        kept.stream.end()
        return None

    def _connect(
        self, deadline: float, *, exiting: bool
    ) -> tuple[http.client.HTTPConnection, Stream]:
        route = self._route
        sock = self._dialled(deadline) or route.connect(deadline, exiting=exiting)
        try:
            stream = Stream(sock, deadline)
            if route.proxy is not None and route.proxy.tls:
                stream.secure(route.tls_context(), route.proxy.endpoint.host)
            if route.tls:
                if route.proxy is not None:
                    self._tunnel(stream)
                stream.secure(route.tls_context(), route.target.host)
            stream.begin(deadline)
            connection = http.client.HTTPConnection(*route.target)
        except BaseException:
            sock.close()
            raise
        connection.response_class = Response
        connection.auto_open = 0
        connection.sock = stream
        return connection, stream

    def _dialled(self, deadline: float) -> socket.socket | None:
        """Return the connection that was begun before the first request."""
        dial, self._dial = self._dial, None
        if dial is None:
            return None
        try:
            if self._route.uses_tls:
                self._route.tls_context()  # reads certificates while the network works
            return dial.take(deadline)
        except BaseException:
            dial.close()
            raise

    def _tunnel(self, stream: Stream) -> None:
        """Ask the proxy for a way through."""
        peer, proxy = self._route.target.authority, self._route.proxy
        assert proxy is not None  # noqa: S101  reason: narrows the type
        headers = {"Host": peer, "User-Agent": USER_AGENT, **proxy.headers}
        lines = [f"CONNECT {peer} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        stream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        response = Response(stream, method="CONNECT")  # type: ignore[arg-type]  # reason: it uses makefile alone
        response.begin()
        if response.status not in _SUCCESS:
            message = f"the proxy answered {response.status}"
            if response.status == _PROXY_AUTHENTICATION_REQUIRED:
                message += f" (put its user and password into {proxy.variable})"
            raise TransportError(message)
        if not stream.quiet():
            message = "the proxy sent more than its answer"
            raise TransportError(message)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        stream: Stream,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Reply:
        target, headers = self._addressed(path, headers)
        status = None
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            status = response.status
            stream.socket.most = MOST_BYTES + MOST_HEAD
            content = read_body(response, MOST_BYTES)
            known = {name.lower(): value for name, value in response.getheaders()}
            self._keep(_IdleConnection(connection, stream, _now()), response)
        except BaseException as error:
            stream.end()
            if not isinstance(error, Exception) or passes(error):
                raise
            if status is not None:
                return self._failed(error, "in the body", _outcome(status), status)
            if stream.written:
                return self._failed(error, "after the request", Outcome.UNKNOWN)
            return self._failed(error, "before the request", Outcome.NOT_DELIVERED)
        return Reply(_outcome(status), status, known, content)

    def _keep(self, kept: _IdleConnection, response: http.client.HTTPResponse) -> None:
        """Keep a connection that did well and on which nothing is to come any more."""
        if response.status not in _SUCCESS and response.status != _NOT_MODIFIED:
            kept.stream.end()
            self._forget()
        elif response.will_close or not kept.stream.quiet():
            kept.stream.end()
        else:
            self._kept.append(kept)
            self._drop_kept(0 if self._closed else 1)

    def _forget(self) -> None:
        """Begin anew after a failure: the name may have moved to another server."""
        self._route.forget()
        self._drop_kept(0)

    def _failed(
        self, error: Exception, when: str, outcome: str, status: int | None = None
    ) -> Reply:
        from serverless_flags._transport.explain import explain  # failures only

        self._forget()
        return Reply(outcome, status, error=f"{explain(error)} ({when})")

    def _addressed(
        self, path: str, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """Return the request's target and its headers for this route."""
        route = self._route
        target = route.path + path
        added = {
            "Host": route.host_header,
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "gzip",
        }
        if route.proxy is not None and not route.tls:
            target = f"http://{route.host_header}{target}"
            added |= route.proxy.headers
        given = {name.lower() for name in headers}
        missing = {k: v for k, v in added.items() if k.lower() not in given}
        return target, {**headers, **missing}


def _outcome(status: int) -> str:
    """Return what became of a request that was answered so."""
    if status in _SUCCESS:
        return Outcome.TAKEN
    if status >= 500 and status not in _NOT_PROCESSED:  # noqa: PLR2004  reason: HTTP's own number
        return Outcome.UNKNOWN
    return Outcome.NOT_DELIVERED


def _now() -> tuple[float, float]:
    return time.monotonic(), time.time()


def _age(since: tuple[float, float]) -> float:
    """Return seconds by the clock that says more: a freeze may stop one of them."""
    return max(time.monotonic() - since[0], time.time() - since[1])
