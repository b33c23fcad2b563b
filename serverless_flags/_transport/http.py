"""
An HTTP client for one server: a deadline per request, and one idle connection.

Written on `http.client` because of deadlines, cold starts and thaws: the usual HTTP
libraries limit each read instead of the whole exchange, retry without the caller's
knowledge, and do not report whether the request was sent.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from serverless_flags._passing import passes
from serverless_flags._protocols import Outcome
from serverless_flags._transport.response import Response, read_body
from serverless_flags._transport.stream import MOST_HEAD, Stream
from serverless_flags._version import __version__

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from serverless_flags._transport.connector import Connector
    from serverless_flags._transport.preconnect import Preconnect

    _Request = tuple[str, str, bytes | None, Mapping[str, str]]
    """Method, target, body and headers, as `http.client` takes them."""

USER_AGENT = f"serverless-flags/{__version__}"
"""Web application firewalls reject requests without a User-Agent."""

MOST_BYTES = 32 * 1024 * 1024
"""The largest body read, before and after decompression."""

MAX_IDLE_GET = 60.0
MAX_IDLE_POST = 4.0
"""Seconds after which an idle connection is not reused, because the server may have
closed it. A failed GET is sent again on a new connection; a POST never is, and Node's
servers close idle connections after 5 s."""

MAX_CONNECTION_AGE = 300.0
"""Seconds after which a connection is not reused, because the host may have moved."""

_NOT_MODIFIED = 304
_SUCCESS = range(200, 300)
_NOT_PROCESSED = frozenset({500, 503})


class Reply(NamedTuple):
    """The result of one request."""

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
        if _age(self.since) > (MAX_IDLE_GET if method == "GET" else MAX_IDLE_POST):
            return False
        return _age(self.stream.opened) <= MAX_CONNECTION_AGE and self.stream.is_quiet()


class HttpClient:
    """
    Sends requests to one server and keeps one idle connection for the next request.

    Safe to share between threads: a connection in use belongs to its request, and a
    request that finds none idle opens its own, so no request waits for another.

    Args:
        connector: opens connections to the server.
        preconnect: a connection for the first request that is being opened already.
    """

    def __init__(
        self, connector: Connector, preconnect: Preconnect | None = None
    ) -> None:
        self._connector = connector
        self._preconnect = preconnect
        self._idle: deque[_IdleConnection] = deque()
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

        Redirects are not followed, so the token stays with its host. Nothing is sent
        twice, except a GET whose idle connection broke before any answer arrived.

        Args:
            method: ``GET`` or ``POST``.
            path: appended to the path of the URL.
            headers: for the server; ``Host`` and the like are added.
            body: the body of a ``POST``.
            timeout: seconds for the whole exchange, connecting included.
            exiting: whether the interpreter exits; see `Connector.connect`.
        """
        deadline = time.monotonic() + timeout
        target, headers = self._addressed(path, headers)
        request = method, target, body, headers
        reply = self._exchange_on_idle(request, deadline)
        if reply is None:
            reply = self._exchange_on_new(request, deadline, exiting=exiting)
        return reply

    def _exchange_on_idle(self, request: _Request, deadline: float) -> Reply | None:
        """Use the idle connection; return None if a new one has to be opened."""
        method = request[0]
        idle = self._take_idle(method)
        if idle is None:
            return None
        idle.stream.begin(deadline)
        reply = self._exchange(idle.connection, idle.stream, request)
        late = time.monotonic() >= deadline
        return reply if idle.stream.answered or method != "GET" or late else None

    def _exchange_on_new(
        self, request: _Request, deadline: float, *, exiting: bool
    ) -> Reply:
        try:
            connection, stream = self._connect(deadline, exiting=exiting)
        except Exception as error:
            if passes(error):
                raise
            return self._failed(error, "while connecting", Outcome.NOT_DELIVERED)
        return self._exchange(connection, stream, request)

    def close(self) -> None:
        """Keep no idle connection from now on; requests in flight continue."""
        self._closed = True
        self._drop_idle(0)
        if self._preconnect is not None:
            self._preconnect.close()

    def _drop_idle(self, keep: int) -> None:
        """Close all idle connections but the newest ``keep``."""
        with contextlib.suppress(IndexError):
            while len(self._idle) > keep:
                self._idle.popleft().stream.close_socket()

    def _take_idle(self, method: str) -> _IdleConnection | None:
        try:
            idle = self._idle.pop()
        except IndexError:
            return None
        if idle.usable_for(method):
            return idle
        idle.stream.close_socket()
        return None

    def _connect(
        self, deadline: float, *, exiting: bool
    ) -> tuple[http.client.HTTPConnection, Stream]:
        connector = self._connector
        sock = self._preconnected(deadline)
        sock = sock or connector.connect(deadline, exiting=exiting)
        try:
            stream = Stream(sock, deadline)
            if connector.proxy is not None and connector.proxy.tls:
                stream.secure(connector.tls_context(), connector.proxy.endpoint.host)
            if connector.tls:
                if connector.proxy is not None:
                    # late: only with a proxy
                    from serverless_flags._transport.proxy import open_tunnel

                    open_tunnel(stream, connector.proxy, connector.target, USER_AGENT)
                stream.secure(connector.tls_context(), connector.target.host)
            stream.begin(deadline)
            connection = http.client.HTTPConnection(*connector.target)
        except BaseException:
            sock.close()
            raise
        connection.response_class = Response
        connection.auto_open = 0
        connection.sock = stream
        return connection, stream

    def _preconnected(self, deadline: float) -> socket.socket | None:
        """Return the connection that was opened in advance, for the first request."""
        preconnect, self._preconnect = self._preconnect, None
        if preconnect is None:
            return None
        try:
            if self._connector.uses_tls:
                self._connector.tls_context()  # reads certificates while it connects
            return preconnect.take(deadline)
        except BaseException:
            preconnect.close()
            raise

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        stream: Stream,
        request: _Request,
    ) -> Reply:
        status = None
        try:
            connection.request(*request)
            response = connection.getresponse()
            status = response.status
            stream.socket.limit = MOST_BYTES + MOST_HEAD
            content = read_body(response, MOST_BYTES)
            received = {name.lower(): value for name, value in response.getheaders()}
            self._keep_idle(_IdleConnection(connection, stream, _now()), response)
        except BaseException as error:
            stream.close_socket()
            if not isinstance(error, Exception) or passes(error):
                raise
            if status is not None:
                return self._failed(error, "in the body", _outcome(status), status)
            if stream.written:
                return self._failed(error, "after the request", Outcome.UNKNOWN)
            return self._failed(error, "before the request", Outcome.NOT_DELIVERED)
        return Reply(_outcome(status), status, received, content)

    def _keep_idle(
        self, idle: _IdleConnection, response: http.client.HTTPResponse
    ) -> None:
        """Keep a connection for the next request if its exchange ended well."""
        if response.status not in _SUCCESS and response.status != _NOT_MODIFIED:
            idle.stream.close_socket()
            self._reset()
        elif response.will_close or not idle.stream.is_quiet():
            idle.stream.close_socket()
        else:
            self._idle.append(idle)
            self._drop_idle(0 if self._closed else 1)

    def _reset(self) -> None:
        """After a failure, resolve and connect again: the host may have moved."""
        self._connector.forget()
        self._drop_idle(0)

    def _failed(
        self, error: Exception, when: str, outcome: str, status: int | None = None
    ) -> Reply:
        from serverless_flags._transport.explain import explain  # only after a failure

        self._reset()
        return Reply(outcome, status, error=f"{explain(error)} ({when})")

    def _addressed(
        self, path: str, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """Return the request target and all headers, as the server or proxy needs."""
        connector = self._connector
        target = connector.path + path
        added = {
            "Host": connector.host_header,
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "gzip",
        }
        if connector.proxy is not None and not connector.tls:
            target = f"http://{connector.host_header}{target}"
            added |= connector.proxy.headers
        given = {name.lower() for name in headers}
        missing = {k: v for k, v in added.items() if k.lower() not in given}
        return target, {**headers, **missing}


def _outcome(status: int) -> str:
    """Return what this status says about the request."""
    if status in _SUCCESS:
        return Outcome.TAKEN
    if status >= 500 and status not in _NOT_PROCESSED:  # noqa: PLR2004  reason: the class of HTTP server errors
        return Outcome.UNKNOWN
    return Outcome.NOT_DELIVERED


def _now() -> tuple[float, float]:
    return time.monotonic(), time.time()


def _age(since: tuple[float, float]) -> float:
    """Return the seconds since then; the larger, as a freeze may stop one clock."""
    return max(time.monotonic() - since[0], time.time() - since[1])
