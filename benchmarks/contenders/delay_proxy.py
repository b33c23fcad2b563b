"""A proxy that is far away: bytes take half a round trip, a connection a whole one.

Connecting to a proxy on loopback takes no time, so nothing leaves the near end before
the round trip of its handshake would have passed. What a client does in that time,
other than wait as it would in reality, it does for free: a few milliseconds at most
where it makes a TLS context after connecting. TLS passes through: its round trips are
the ends' own. Bandwidth and slow start are not simulated.
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
    Forward connections from a free port of loopback; a context manager.

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
            there = _Way(near, far, self._round_trip / 2, connected)
            back = _Way(far, near, self._round_trip / 2, connected)
            there.start()
            back.start()


class _Way:
    """One direction of one connection."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, delay: float, since: float
    ) -> None:
        self._source = source
        self._sink = sink
        self._delay = delay
        self._since = since
        self._travelling: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def start(self) -> None:
        for target in (self._take, self._deliver):
            threading.Thread(target=target, daemon=True).start()

    def _take(self) -> None:
        """Take bytes at one end and note when they reach the other."""
        data = b"?"
        while data:
            try:
                data = self._source.recv(262_144)
            except OSError:  # reset
                data = b""
            left = max(self._since, time.perf_counter())
            self._travelling.put((left + self._delay, data))

    def _deliver(self) -> None:
        data = b"?"
        while data:
            due, data = self._travelling.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            with contextlib.suppress(OSError):  # the other end is gone
                if data:
                    self._sink.sendall(data)
                else:
                    self._sink.shutdown(socket.SHUT_WR)
