"""A connection that keeps the bounds of an exchange: its deadline and its bytes."""

from __future__ import annotations

import contextlib
import io
import time
from typing import TYPE_CHECKING, Any

from serverless_flags._transport.resolver import TransportError

if TYPE_CHECKING:
    import socket
    import ssl

    from serverless_flags._transport.tls import Layer

GRACE = 0.1
"""Seconds past the deadline in which what has arrived already is still read."""

MOST_HEAD = 256 * 1024
"""Bytes received before the head of the answer is whole, TLS and all."""


class BoundedSocket:
    """
    A socket whose every operation keeps the bounds of the exchange that it is in.

    Whatever arrives counts against ``most``: a peer that never stops sending ends at
    the deadline or at that number of bytes, in whatever part of the protocol it is.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self.begin(deadline)

    def begin(self, deadline: float) -> None:
        """Set the bounds of the next exchange, which ends at ``deadline``."""
        self._deadline = deadline
        self._read_until: float | None = None
        self.received = 0
        self.most = MOST_HEAD
        self.waits = True
        """Whether `receive` waits for bytes that are not there yet."""

    def receive(self, buffer: Any) -> int | None:
        """Fill ``buffer`` with what has arrived, which is waited for; see `Layer`."""
        if self.received >= self.most:
            message = f"the answer has not ended after {self.received} bytes"
            raise TransportError(message)
        if not self.waits:
            self._socket.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                return self._count(self._socket.recv_into(buffer))
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            return self._receive_late(buffer)
        self._socket.settimeout(left)
        return self._count(self._socket.recv_into(buffer))

    def _receive_late(self, buffer: Any) -> int:
        """Take what is there already, which a freeze may have hidden; for a moment."""
        now = time.monotonic()
        if self._read_until is None:
            self._read_until = now + GRACE
        if now < self._read_until:
            self._socket.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                return self._count(self._socket.recv_into(buffer))
        message = "the deadline passed"
        raise TimeoutError(message)

    def _count(self, received: int) -> int:
        self.received += received
        return received

    def send(self, data: bytes) -> None:
        """Send all of ``data`` before the deadline."""
        view = memoryview(data)
        while view:
            left = self._deadline - time.monotonic()
            if left <= 0:
                message = "the deadline passed"
                raise TimeoutError(message)
            self._socket.settimeout(left)
            view = view[self._socket.send(view) :]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class _Received(io.RawIOBase):
    """What arrives over the outermost layer of a connection, as it comes."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.any = False
        """Whether anything has arrived in this exchange."""
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        received = self.layer.receive(buffer)
        self.any = self.any or bool(received)
        self.ended = received == 0
        return received


class _Reader(io.BufferedReader):
    """A reader that outlives the answers, each of which closes it."""

    def close(self) -> None:
        """Do nothing: what was read ahead belongs to the next answer."""

    def flush(self) -> None:
        """Do nothing: an answer that is collected late calls it."""


class Stream:
    """
    A connection as `http.client` uses a socket, with one reader for all its answers.

    Args:
        sock: a connected socket.
        deadline: of the first exchange, on the monotonic clock.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.socket = BoundedSocket(sock, deadline)
        self.opened = time.monotonic(), time.time()
        self._received = _Received(self.socket)
        self._reader = _Reader(self._received, 65536)
        self._sent = False
        self._cut = False

    def begin(self, deadline: float) -> None:
        """Begin another exchange, which ends at ``deadline``."""
        self.socket.begin(deadline)
        self._sent = self._cut = self._received.any = False

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Go on over TLS with ``host``, which has to prove its name. Raises OSError."""
        from serverless_flags._transport.tls import (
            TlsLayer,  # its context has been imported
        )

        self._received.layer = TlsLayer(self._received.layer, context, host)

    @property
    def written(self) -> bool:
        """
        Whether the server may have the whole request of this exchange.

        It has not when nothing was written or when writing failed: nobody can take what
        is not whole.
        """
        return self._sent and not self._cut

    @property
    def answered(self) -> bool:
        """Whether anything of an answer has arrived in this exchange."""
        return self._received.any

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``; what was sent in part is not `written`."""
        self._cut = True
        self._received.layer.send(data)
        self._cut = False
        self._sent = True

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002  reason: http.client's call
        """Return the reader, which keeps what it has read ahead for the next answer."""
        return self._reader

    def quiet(self) -> bool:
        """Whether nothing has arrived that was not read: no byte, no end."""
        self.socket.waits = False
        try:
            return self._reader.peek(1) == b"" and not self._received.ended
        except (OSError, ValueError):
            return False
        finally:
            self.socket.waits = True

    def close(self) -> None:
        """Do nothing: `http.client` calls it before the last body has been read."""

    def end(self) -> None:
        """Close the connection."""
        self.socket.close()
