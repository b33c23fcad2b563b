"""An hour of an instance on a simulated clock, and what it sends and receives."""

import contextlib
import json
import os
import socket
import threading
from urllib.parse import urlsplit

HOUR = 3600.0
SERVER_KEEPS = 15.0
"""Seconds after which Unleash closes an idle connection (SERVER_KEEPALIVE_TIMEOUT)."""
USER = {"userId": "7"}
FLAGS = ("flag-0", "flag-1", "flag-2")


class CountingProxy:
    """
    A proxy to a server that counts bytes, requests and connections.

    Args:
        url: the server's.
        now: returns the second of the simulated hour.
    """

    def __init__(self, url, now):
        self._server = ("127.0.0.1", urlsplit(url).port)
        self._now = now
        self._last = 0.0
        self._open = set()
        self._lock = threading.Lock()
        self.counts = {"requests": 0, "bytes": 0, "connections": 0}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        threading.Thread(target=self._accept, daemon=True).start()

    def drop_idle(self):
        """Close connections that a server would have closed by now."""
        if self._open and self._now() - self._last > SERVER_KEEPS:
            for connection in list(self._open):
                self._end(connection)

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._server)
            self._open.add(client)
            with self._lock:
                self.counts["connections"] += 1
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, target):
        try:
            while data := source.recv(65536):
                self._last = self._now()
                with self._lock:
                    self.counts["bytes"] += len(data)
                    self.counts["requests"] += data.startswith((b"GET /", b"POST /"))
                target.sendall(data)
        except OSError:
            pass  # the other direction has closed it
        self._open.discard(source)
        self._end(target)
        self._end(source)

    def _end(self, connection):
        self._open.discard(connection)
        with contextlib.suppress(OSError):  # it is closed already
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def hour(wire, start, call, end):
    """
    Run an instance for an hour and print what it sent and received.

    Its start and its end are counted once. Of the time between, ``WINDOW`` seconds are
    run, and their counts are multiplied up to an hour.

    Args:
        wire: the proxy that counts.
        start: starts the client.
        call: called with the second of each invocation.
        end: ends the client.
    """
    every, window = float(os.environ["EVERY"]), float(os.environ["WINDOW"])
    counts = [dict(wire.counts)]
    start()
    counts.append(dict(wire.counts))
    for number in range(1, round(window / every) + 1):
        call(number * every)
    counts.append(dict(wire.counts))
    end()
    counts.append(dict(wire.counts))
    whole = {_named(name): _whole(name, counts, window) for name in counts[0]}
    print("True")
    print(json.dumps(whole), flush=True)
    os._exit(0)


def _whole(name, counts, window):
    began, started, called, ended = (count[name] for count in counts)
    return (started - began) + (called - started) * HOUR / window + (ended - called)


def _named(name):
    return f"{name} [bytes]" if name == "bytes" else f"{name} [number]"
