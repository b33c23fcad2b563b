"""One connection, one deadline, three outcomes.

Written by hand on `http.client` because deadlines, cold starts and thaws are what this
package exists for: the usual libraries bound each read, not the whole exchange, retry
behind the caller's back, and do not say whether a byte had left.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import select
import time
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from serverless_flags._client import Outcome

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from serverless_flags._dial import Dial
    from serverless_flags._route import Route

MOST_BYTES = 32 * 1024 * 1024
"""The largest body read, before and after decompression."""

IDLE_FOR_GET = 60.0
IDLE_FOR_POST = 4.0
"""Seconds after which a kept connection may be dead without having said so. A GET is
asked again on a new one; a POST never is, and Node's servers close after 5 s."""

_TAKES = range(200, 300)
_SAYS_NO = frozenset({500, 503})


class Reply(NamedTuple):
    """What one request came to."""

    outcome: Outcome
    status: int | None = None
    headers: Mapping[str, str] = {}
    body: bytes = b""
    error: str | None = None


class _Stream:
    """A socket as `http.client` uses it; every operation keeps one deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.socket = sock
        self.deadline = deadline
        self.written = False

    def bound(self) -> None:
        """Give the next operation what is left of the time."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            message = "the deadline passed"
            raise TimeoutError(message)
        self.socket.settimeout(left)

    def receive(self, buffer: Any) -> int:
        """Wait until the deadline; then take what is there: a freeze may hide it."""
        try:
            self.bound()
        except TimeoutError:
            self.socket.settimeout(0)
            with contextlib.suppress(OSError):  # nothing is there, or no more
                return self.socket.recv_into(buffer)
            raise
        return self.socket.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        self.bound()
        self.socket.sendall(data)

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002  reason: http.client's call
        return io.BufferedReader(_Reads(self), 65536)

    def close(self) -> None:
        """Do nothing: `http.client` calls it before the last body has been read."""

    def end(self) -> None:
        self.socket.close()


class _Reads(io.RawIOBase):
    """The reading end of a `_Stream`."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.receive(buffer)


class _Kept(NamedTuple):
    connection: http.client.HTTPConnection
    stream: _Stream
    monotonic: float
    wall: float

    def usable_for(self, method: str) -> bool:
        idle = max(time.monotonic() - self.monotonic, time.time() - self.wall)
        if idle > (IDLE_FOR_GET if method == "GET" else IDLE_FOR_POST):
            return False
        try:  # an idle connection with something to read has been closed
            readable, _, _ = select.select([self.stream.socket], [], [], 0)
        except (OSError, ValueError):
            return False
        return not readable


class Http:
    """
    Requests to one server, over one kept connection while it lasts.

    Threads may share it: a connection in use belongs to its request, and a request
    that finds none kept opens its own, so none ever waits for another.

    Args:
        route: the way to the server.
        dial: a connection that was begun already, for the first request.
    """

    def __init__(self, route: Route, dial: Dial | None = None) -> None:
        self._route = route
        self._dial = dial
        self._kept: deque[_Kept] = deque()
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        timeout: float,
    ) -> Reply:
        """
        Send one request and read its whole answer within ``timeout`` seconds.

        Redirects are answers, not followed: the token stays with its host. Nothing is
        sent twice, except a GET over a kept connection that broke without an answer.
        """
        deadline = time.monotonic() + timeout
        kept = self._take(method)
        if kept is not None:
            kept.stream.deadline, kept.stream.written = deadline, False
            reply = self._exchange(*kept[:2], method, path, headers, body)
            late = time.monotonic() >= deadline
            if reply.status is not None or method != "GET" or late:
                return reply
        try:
            connection, stream = self._connect(deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Reply(Outcome.REFUSED, error=_why(error))
        return self._exchange(connection, stream, method, path, headers, body)

    def close(self) -> None:
        """Keep no connection from now on; requests in flight go on."""
        self._closed = True
        self._drop_kept()
        if self._dial is not None:
            self._dial.close()

    def _drop_kept(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._kept.pop().stream.end()

    def _take(self, method: str) -> _Kept | None:
        try:
            kept = self._kept.pop()
        except IndexError:
            return None
        if kept.usable_for(method):
            return kept
        kept.stream.end()
        return None

    def _connect(self, deadline: float) -> tuple[http.client.HTTPConnection, _Stream]:
        route = self._route
        stream = _Stream(self._dialled(deadline) or route.connect(deadline), deadline)
        try:
            if route.tls:
                if route.proxy is not None:
                    self._tunnel(stream)
                stream.bound()
                stream.socket = route.secure(stream.socket)
        except BaseException:
            stream.end()
            raise
        stream.written = False
        connection = http.client.HTTPConnection(*route.target)
        connection.auto_open = 0
        connection.sock = stream
        return connection, stream

    def _dialled(self, deadline: float) -> socket.socket | None:
        """Return the connection that was begun before the first request."""
        dial, self._dial = self._dial, None
        if dial is None:
            return None
        try:
            if self._route.tls:
                self._route.prepare_tls()  # reads certificates while the network works
            return dial.take(deadline)
        except BaseException:
            dial.close()
            raise

    def _tunnel(self, stream: _Stream) -> None:
        """Ask the proxy for a way through."""
        peer = self._route.target.authority
        lines = [f"CONNECT {peer} HTTP/1.1", f"Host: {peer}"]
        lines += [f"{k}: {v}" for k, v in self._route.proxy_headers.items()]
        stream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        response = http.client.HTTPResponse(stream, method="CONNECT")  # type: ignore[arg-type]  # reason: it uses makefile alone
        response.begin()
        if response.status not in _TAKES:
            message = f"the proxy answered {response.status}"
            raise OSError(message)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        stream: _Stream,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Reply:
        target, headers = self._addressed(path, headers)
        status = None
        try:
            connection.request(method, target, body, headers)
            stream.written = True  # before, nobody can take what is not whole
            response = connection.getresponse()
            status = response.status
            content = _read(response)
        except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
            stream.end()
            if status is not None:
                return Reply(_outcome(status), status, error=_why(error))
            lost = Outcome.UNKNOWN if stream.written else Outcome.REFUSED
            return Reply(lost, error=_why(error))
        if response.will_close or self._closed:
            stream.end()
        else:
            self._drop_kept()
            self._kept.append(_Kept(connection, stream, time.monotonic(), time.time()))
        known = {name.lower(): value for name, value in response.getheaders()}
        return Reply(_outcome(status), status, known, content)

    def _addressed(
        self, path: str, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """Return the request's target and its headers for this route."""
        route = self._route
        target = route.path + path
        extra = {"Host": route.host_header, "Accept-Encoding": "gzip"}
        if route.proxy is not None and not route.tls:
            target = f"http://{route.host_header}{target}"
            extra |= route.proxy_headers
        return target, {**headers, **extra}


def _outcome(status: int) -> Outcome:
    if status in _TAKES:
        return Outcome.TAKEN
    if status >= 500 and status not in _SAYS_NO:  # noqa: PLR2004  reason: HTTP's own number
        return Outcome.UNKNOWN
    return Outcome.REFUSED


def _read(response: http.client.HTTPResponse) -> bytes:
    """Read a whole body, bounded and decompressed. Raises ValueError when too large."""
    expected, content = response.length, bytearray()
    inflate = None
    if response.getheader("Content-Encoding", "").lower() in {"gzip", "x-gzip"}:
        inflate = zlib.decompressobj(wbits=31)
    read = 0
    while chunk := response.read(65536):
        read += len(chunk)
        if inflate is not None:
            chunk = inflate.decompress(chunk, MOST_BYTES + 1 - len(content))
        content += chunk
        if len(content) > MOST_BYTES or read > MOST_BYTES:
            message = f"the body is larger than {MOST_BYTES} bytes"
            raise ValueError(message)
    if expected is not None and read < expected:
        raise http.client.IncompleteRead(bytes(content), expected - read)
    if inflate is not None and read and not inflate.eof:
        message = "the compressed body is cut short"
        raise ValueError(message)
    return bytes(content)


def _why(error: BaseException) -> str:
    """Say it for people; nothing that was sent is in it."""
    text = str(error) or "no further word"
    return f"{type(error).__name__}: {text[:200]}"
