"""A connection that enforces the limits of an exchange: deadline and size."""

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
"""Seconds after the deadline in which bytes that have arrived are still read."""

MOST_HEAD = 256 * 1024
"""The most bytes received before the head of the answer is complete, with TLS."""


class BoundedSocket:
    """
    A socket that enforces the limits of the current exchange in each operation.

    All received bytes count towards ``limit``, so a peer that never stops sending is
    cut off there or at the deadline, in any phase of the protocol.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self.begin(deadline)

    def begin(self, deadline: float) -> None:
        """Set the limits of the next exchange, which ends at ``deadline``."""
        self._deadline = deadline
        self._read_until: float | None = None
        self.received = 0
        self.limit = MOST_HEAD
        self.waits = True
        """Whether `receive` waits for bytes that have not arrived yet."""

    def receive(self, buffer: Any) -> int | None:
        """Fill ``buffer``; wait for bytes until the deadline. See `Layer`."""
        if self.received >= self.limit:
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
        """Read bytes that arrived before the deadline, perhaps during a freeze."""
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
    """The bytes from the outermost layer of a connection."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.any = False
        """Whether any byte has arrived in this exchange."""
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        received = self.layer.receive(buffer)
        self.any = self.any or bool(received)
        self.ended = received == 0
        return received


class _Reader(io.BufferedReader):
    """A reader for all answers of a connection, although each answer closes it."""

    def close(self) -> None:
        """Do nothing: bytes that were read ahead belong to the next answer."""

    def flush(self) -> None:
        """Do nothing: a garbage-collected answer calls it."""


class Stream:
    """
    A connection with the methods of a socket that `http.client` calls.

    One reader serves all of its answers.

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
        """Begin the next exchange, which ends at ``deadline``."""
        self.socket.begin(deadline)
        self._sent = self._cut = self._received.any = False

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Start TLS and verify that the peer is ``host``. Raises OSError."""
        # late, as it imports ssl; the context has imported it already
        from serverless_flags._transport.tls import TlsLayer

        self._received.layer = TlsLayer(self._received.layer, context, host)

    @property
    def written(self) -> bool:
        """
        Whether the server may have received the whole request of this exchange.

        False when nothing was written or when writing failed: the request was
        incomplete then, so the server cannot have processed it.
        """
        return self._sent and not self._cut

    @property
    def answered(self) -> bool:
        """Whether any byte of an answer has arrived in this exchange."""
        return self._received.any

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``; after a partial write `written` is False."""
        self._cut = True
        self._received.layer.send(data)
        self._cut = False
        self._sent = True

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002  reason: the signature that http.client calls
        """Return the reader, which keeps bytes read ahead for the next answer."""
        return self._reader

    def is_quiet(self) -> bool:
        """Whether nothing unread has arrived: neither a byte nor the end."""
        self.socket.waits = False
        try:
            return self._reader.peek(1) == b"" and not self._received.ended
        except (OSError, ValueError):
            return False
        finally:
            self.socket.waits = True

    def close(self) -> None:
        """Do nothing: `http.client` calls it before it has read the last body."""

    def close_socket(self) -> None:
        """Close the connection."""
        self.socket.close()
