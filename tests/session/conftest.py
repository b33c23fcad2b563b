"""A clock that the test moves, and a flag server whose answers the test chooses."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags import FlagSession, Platform, hookimpl
from serverless_flags._clock import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20.0
"""Seconds; a bound against hanging only."""


class Clock:
    """Both clocks of a machine, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> Instant:
        return Instant(self.seconds, 1_700_000_000 + self.seconds)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class Server:
    """An Unleash client API whose answers the test decides."""

    def __init__(self) -> None:
        self.flags: dict[str, bool | list[str]] = {"simpleFlag": True}
        """On, off, or on for these users alone."""
        self.status = {"GET": 200, "POST": 202}
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.arrived = threading.Semaphore(0)
        self.requests: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []
        self.intervals: list[str | None] = []
        """The header ``unleash-interval`` of each request with counts."""
        self.buckets: list[dict[str, Any]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(
            target=self._http.serve_forever, args=(0.01,), daemon=True
        ).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/api"

    def state(self) -> bytes:
        features = [_feature(name, on) for name, on in self.flags.items()]
        return json.dumps({"version": 2, "features": features}).encode()

    def asked(self, method: str) -> int:
        """Return how many requests with a method have arrived."""
        return sum(1 for seen, _ in self.requests if seen == method)

    def counted(self, name: str = "simpleFlag") -> int:
        """Return how many evaluations the server has counted."""
        toggles = [bucket["toggles"].get(name, {}) for bucket in self.buckets]
        return sum(t.get("yes", 0) + t.get("no", 0) for t in toggles)

    def stop(self) -> None:
        self.answers.set()
        self._http.shutdown()
        self._http.server_close()


def _feature(name: str, on: bool | list[str]) -> dict[str, Any]:
    """Return a flag in the client API's format."""
    strategy: dict[str, Any] = {"name": "default"}
    if isinstance(on, list):
        users = {"contextName": "userId", "operator": "IN", "values": on}
        strategy["constraints"] = [users]
    return {"name": name, "enabled": bool(on), "strategies": [strategy]}


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *args: object) -> None:
            """Log nothing."""

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            server.requests.append((method, self.path))
            server.tokens.append(self.headers.get("Authorization"))
            if method == "POST":
                server.intervals.append(self.headers.get("unleash-interval"))
            server.arrived.release()
            server.answers.wait(30)
            known = self.headers.get("If-None-Match")
            try:
                _write(self, server, *_answer_of(server, method, sent, known))
            except OSError:  # the session did not wait
                self.close_connection = True

    return Handler


def _answer_of(
    server: Server, method: str, sent: bytes, known: str | None
) -> tuple[int, str, bytes]:
    """Return the status, the ETag and the body of an answer; record its counts."""
    status = server.status[method]
    body = server.state() if server.body is None else server.body
    etag = f'"{hash(body)}"'
    if status == 200 and method == "GET" and known == etag:
        return 304, etag, b""
    if method == "POST":
        body = b""
        if status < 300:
            server.buckets.append(json.loads(sent)["bucket"])
    return status, etag, body


def _write(
    handler: BaseHTTPRequestHandler, server: Server, status: int, etag: str, body: bytes
) -> None:
    handler.send_response(status)
    handler.send_header("ETag", etag)
    for name, value in server.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


class Cloud(Platform):
    """A platform whose attributes the test chooses."""

    name = "cloud"

    def __init__(self, **facts: Any) -> None:
        self.connects: bool | None = facts.pop("connects", True)
        self.invocations: list[Any] = []
        self.events: list[Any] = []
        for name, value in facts.items():
            setattr(self, name, value)

    @hookimpl
    def detect_platform(self) -> Platform:
        return self

    @hookimpl
    def connect_instance(self, at: str) -> bool | None:
        self.events.append(("connect", at))
        return self.connects

    @hookimpl
    def read_invocation(self) -> Any:
        return self.invocations.pop(0) if self.invocations else None

    @hookimpl
    def after_refresh(self, outcome: str) -> None:
        self.events.append(("refresh", outcome))

    @hookimpl
    def after_flush(self, outcome: str) -> None:
        self.events.append(("flush", outcome))

    @hookimpl
    def disconnect_instance(self, reason: str) -> None:
        self.events.append(("disconnect", reason))


@pytest.fixture(name="within_time")
def _within_time():
    """Return a function that runs another on a thread and fails if that hangs."""

    def within_time(call):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
        thread.start()
        thread.join(20.0)
        assert answers, "it waits for itself"
        return answers[0]

    return within_time


@pytest.fixture(name="clock")
def _clock():
    return Clock()


@pytest.fixture(name="server")
def _server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(name="cloud")
def _cloud():
    """Return the class, because each test builds its own platform."""
    return Cloud


@pytest.fixture(name="make")
def _make(server, clock):
    """Return a function that makes sessions, which are closed after the test."""
    made = []

    def make(platform: Platform | None = None, **settings: Any) -> FlagSession:
        defaults: dict[str, Any] = {
            "url": server.url,
            "api_token": "default:development.secret",
            "clock": clock,
            "start_timeout": 10.0,
            "refresh_timeout": 10.0,
            "flush_timeout": 10.0,
            "request_timeout": 10.0,
            "plugins": [platform or Cloud()],
        }
        session = FlagSession(**{**defaults, **settings})
        made.append(session)
        return session

    yield make
    server.answers.set()
    for session in made:
        session.close(1.0)


@pytest.fixture(name="until")
def _until():
    """Return a function that waits until a condition holds that no event signals."""

    def until(true: Callable[[], object]) -> bool:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not true():
            time.sleep(0.005)
        return bool(true())

    return until


@pytest.fixture(name="interrupt")
def _interrupt(until):
    """
    Return a function that runs a callback as a signal handler during a wait.

    The callback may raise, as a timeout of a framework, a decorator or a user does.
    """
    main = threading.main_thread().ident
    threads = []

    def waits() -> bool:
        frame = sys._current_frames()[main]
        names = [f"{frame.f_code.co_filename}:{frame.f_code.co_name}"]
        while frame := frame.f_back:
            names.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        in_scope = any("scope.py:__" in name for name in names)
        return in_scope and names[0].endswith("threading.py:wait")

    def interrupt(handler: Callable[[], object], when: Callable[[], object]) -> None:
        signal.signal(signal.SIGUSR1, lambda *_: handler())

        def ring() -> None:
            when()
            if until(waits):
                signal.pthread_kill(main, signal.SIGUSR1)

        threads.append(threading.Thread(target=ring, daemon=True))
        threads[-1].start()

    before = signal.getsignal(signal.SIGUSR1)
    yield interrupt
    for thread in threads:
        thread.join(PATIENCE)
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture(name="raising")
def _raising():
    """Return a function that raises the given exception."""

    def raising(error: BaseException | type[BaseException]) -> Callable[..., Any]:
        def fail(*_args: object) -> Any:
            raise error

        return fail

    return raising
