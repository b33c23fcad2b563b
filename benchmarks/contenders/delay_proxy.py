"""
A proxy that simulates distance: half a round trip for bytes, a whole one to connect.

Connecting to a proxy on loopback takes no time, so the proxy holds the first bytes back
until the round trip of a handshake would have passed. Work that a client does in that
time, where in reality it would wait, is free for it: a few milliseconds at most, if it
makes a TLS context after connecting. TLS is passed through, so client and server make
its round trips themselves. Bandwidth and slow start are not simulated.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class DelayProxy:
    """
    A context manager that forwards connections from a free port on loopback.

    Args:
        port: where the server listens, on loopback.
        round_trip: seconds there and back.
    """

    def __init__(self, port: int, round_trip: float) -> None:
        self._target = ("127.0.0.1", port)
        self._round_trip = round_trip
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            far = socket.create_connection(self._target)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected = time.perf_counter() + self._round_trip
            request = _Direction(near, far, self._round_trip / 2, connected)
            response = _Direction(far, near, self._round_trip / 2, connected)
            request.start()
            response.start()


class _Direction:
    """One direction of one connection."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, delay: float, since: float
    ) -> None:
        self._source = source
        self._sink = sink
        self._delay = delay
        self._since = since
        self._in_transit: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def start(self) -> None:
        for target in (self._receive, self._deliver):
            threading.Thread(target=target, daemon=True).start()

    def _receive(self) -> None:
        """Receive bytes at one end and schedule their delivery at the other."""
        data = b"?"
        while data:
            try:
                data = self._source.recv(262_144)
            except OSError:  # reset
                data = b""
            left = max(self._since, time.perf_counter())
            self._in_transit.put((left + self._delay, data))

    def _deliver(self) -> None:
        data = b"?"
        while data:
            due, data = self._in_transit.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            with contextlib.suppress(OSError):  # the other end is gone
                if data:
                    self._sink.sendall(data)
                else:
                    self._sink.shutdown(socket.SHUT_WR)
