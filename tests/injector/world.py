"""What surrounds a session: a flag server, a clock, a function's evaluations."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from typing import Any

from serverless_flags._clock import Instant

DELAY = 0.002
"""Seconds until the server answers, so that an invocation has to wait."""

ADDRESSES = {"alice": "192.0.2.1", "bob": "192.0.2.2"}


class Unnamed(Exception):  # noqa: N818  reason: not an error of this package
    """An exception that no platform names, such as that of a signal handler."""


class Named(Exception):  # noqa: N818  reason: likewise
    """An exception that the platform names: its own request timeout."""


class Abort(BaseException):
    """A `BaseException`, such as the abort of a worker."""


class FromFunction(Exception):  # noqa: N818  reason: likewise
    """The exception that the function raises itself."""


class Clock:
    """Both clocks of the machine, moved forward by `advance`."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> Instant:
        return Instant(time.monotonic() + self._ahead, time.time() + self._ahead)

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


class Server:
    """
    An Unleash client API on loopback, one thread for all connections.

    It never fails. ``flipped`` is the value of the flag ``flip``.
    """

    def __init__(self) -> None:
        self.flipped = False
        self.delay = 0.0
        self.port = 0
        self._counts: Counter[str] = Counter()
        self._ready = threading.Event()
        threading.Thread(target=self._run, name="injector-server", daemon=True).start()
        self._ready.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def counts(self) -> Counter[str]:
        """Return how many evaluations of each flag it has received."""
        return Counter(self._counts)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(self._answer(head, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if b"/extension/" in head:  # AWS Lambda's Extensions API; it sends no event
            identity = b"Lambda-Extension-Identifier: an-id"
            return _response(b"200 OK", b"", identity) if head[:4] == b"POST" else b""
        if head.startswith(b"GET"):
            etag = f'"{self.flipped}"'.encode()
            if b"If-None-Match: " + etag in head:
                return b"HTTP/1.1 304 Same\r\nETag: " + etag + b"\r\n\r\n"
            return _response(b"200 OK", STATES[self.flipped], b"ETag: " + etag)
        self._count(json.loads(body))
        return _response(b"202 Accepted", b"", b"X-None: none")

    def _count(self, metrics: Any) -> None:
        toggles = (metrics.get("bucket") or {}).get("toggles", {})
        for name, toggle in toggles.items():
            self._counts[name] += toggle.get("yes", 0) + toggle.get("no", 0)


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def _response(status: bytes, body: bytes, header: bytes) -> bytes:
    length = str(len(body)).encode()
    lines = [b"HTTP/1.1 " + status, b"Content-Length: " + length, header, b"", b""]
    return b"\r\n".join(lines) + body


class Always:
    """A custom strategy that is always on."""

    def apply(self, parameters: Any, context: Any) -> bool:
        return True


def _flag(name: str, *strategies: Any, enabled: bool = True, **more: Any) -> Any:
    return {"name": name, "enabled": enabled, "strategies": list(strategies), **more}


def _for(user: str) -> Any:
    """Return a strategy for one user, whom an adapter identifies by the address."""
    constraint = {
        "contextName": "remoteAddress",
        "operator": "IN",
        "values": [ADDRESSES[user]],
    }
    return {"name": "default", "constraints": [constraint]}


def _state(*, flipped: bool) -> bytes:
    default = {"name": "default"}
    blue = {"name": "blue", "weight": 1000, "stickiness": "default", "overrides": []}
    flags = [
        _flag("alice", _for("alice")),
        _flag("bob", _for("bob")),
        _flag("flip", default, enabled=flipped),
        _flag("custom", {"name": "always", "parameters": {}}),
        _flag("variant", default, variants=[blue], impressionData=True),
    ]
    return json.dumps({"version": 2, "features": flags}).encode()


STATES = {flipped: _state(flipped=flipped) for flipped in (False, True)}


def expected(user: str, *, flipped: bool, everything: bool) -> dict[str, object]:
    """Return the answers that a function must get for a user."""
    simple = {"alice": user == "alice", "bob": user == "bob", "flip": flipped}
    rest = {"custom": True, "unknown": True, "variant": "blue"}
    return {**simple, **rest} if everything else {**simple}


class Ledger:
    """The evaluations that a function began, and those that the session answered."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    def evaluate(self, *, everything: bool) -> dict[str, object]:
        """Evaluate each flag once; return the answers."""
        answers: dict[str, object] = {
            name: self.ask(name) for name in ("alice", "bob", "flip")
        }
        if not everything:
            return answers
        answers["custom"] = self.ask("custom")
        answers["unknown"] = self.ask("unknown", fallback_function=lambda *_: True)
        self.asked["variant"] += 1
        answers["variant"] = self._session.get_variant("variant")["name"]
        self.answered["variant"] += 1
        return answers

    def ask(self, name: str, **more: Any) -> bool:
        """Evaluate one flag."""
        self.asked[name] += 1
        answer: bool = self._session.is_enabled(name, **more)
        self.answered[name] += 1
        return answer
