"""Registration of the extension that makes Lambda send SIGTERM."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from serverless_flags_aws_lambda import _extension
from serverless_flags_aws_lambda._extension import (
    Registration,
    RegistrationOutcome,
    register_once,
    register_without_events,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from serverless_flags_aws_lambda._emulator.runtime_api_server import (
        RuntimeApiServer,
    )

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""

ACCEPTED = b"HTTP/1.1 200 OK\r\nlambda-extension-IDENTIFIER: abc\r\n\r\n{}"


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a process that has registered nothing."""
    pending: list[socket.socket] = []
    monkeypatch.setattr(_extension, "_registrations", {})
    monkeypatch.setattr(_extension, "_pending", pending)
    yield
    for connection in pending:
        connection.close()


class ScriptedServer:
    """Send the next of ``replies`` on each connection; later ones get none."""

    def __init__(self, *replies: bytes) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.served = threading.Semaphore(0)
        self._replies = replies
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            for reply in self._replies:
                connection, _ = self.listener.accept()
                self._open.append(connection)
                self.requests.append(connection.recv(4096))
                connection.sendall(reply)
                self.served.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.listener.close()
        for connection in self._open:
            connection.close()


def test_registration_without_events_calls_next(api: RuntimeApiServer) -> None:
    """The API need not wait for a registered extension, so Init can end."""
    registration = register_without_events(api.address)
    (extension,) = api.state.extensions.values()

    assert registration.outcome is RegistrationOutcome.ACCEPTED
    assert (extension.name, extension.events) == ("serverless-flags", [])
    assert api.state.wait(lambda: extension.waiting, WAIT)


def test_registers_once_per_process(
    api: RuntimeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions of one process share an extension; a forked child has its own."""
    mine = [register_once(register_without_events, api.address) for _ in range(2)]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    child = register_once(register_without_events, api.address)

    assert [RegistrationOutcome.ACCEPTED] * 2 == [
        registration.outcome for registration in mine
    ]
    assert child.outcome is RegistrationOutcome.REFUSED
    assert len(api.state.extensions) == 1


def test_next_is_sent_and_never_read() -> None:
    """The request for an event has the identifier; header names ignore case."""
    with ScriptedServer(ACCEPTED, b"") as server:
        registration = register_without_events(server.address)
        for _ in range(2):
            assert server.served.acquire(timeout=WAIT)
        head = server.requests[1].decode()

    assert registration == Registration(RegistrationOutcome.ACCEPTED, "abc")
    assert head.startswith("GET /2020-01-01/extension/event/next HTTP/1.1\r\n")
    assert "Lambda-Extension-Identifier: abc\r\n" in head
    assert len(_extension._pending) == 1


REFUSAL = b"""HTTP/1.1 403 Forbidden\r
Content-Length: 77\r
\r
{"errorMessage": "too late", "errorType": "Extension.RegistrationClosed"}"""


@pytest.mark.parametrize(
    ("reply", "why_not"),
    [
        (REFUSAL, r"Lambda refused the extension \(Extension.RegistrationClosed\)"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", r"Lambda refused .* \(HTTP status 403\)"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", r"no usable answer \(HTTP status 500\)"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", r"no usable answer \(HTTP status 200\)"),
        (b"SSH-2.0\r\n\r\n", r"no usable answer \(\w+\)"),
        (b"HTTP/1.1 two OK\r\n\r\n", r"no usable answer \(ValueError\)"),
        (b"x" * 100_000, r"no usable answer \(ValueError\)"),
        (b"HTTP/1.1 200 OK\r\n", r"no usable answer \(TimeoutError\)"),
    ],
)
def test_other_answers(
    monkeypatch: pytest.MonkeyPatch, reply: bytes, why_not: str
) -> None:
    """For a refusal, or for a malformed or endless response, ``why_not`` says why."""
    monkeypatch.setattr(_extension, "_REGISTER_TIMEOUT", 0.2)
    with ScriptedServer(reply) as server:
        registration = register_without_events(server.address)

    assert registration.outcome is not RegistrationOutcome.ACCEPTED
    assert re.search(why_not, registration.why_not)


@pytest.mark.parametrize("address", ["", "127.0.0.1:x", "127.0.0.1:99999999"])
def test_malformed_address(address: str) -> None:
    """A malformed address raises nothing: a unit test may set any value."""
    assert register_without_events(address).outcome is RegistrationOutcome.FAILED


def test_connection_refused() -> None:
    """If the API refuses connections, the registration has failed."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    registration = register_without_events(f"127.0.0.1:{port}")

    assert registration == Registration(
        RegistrationOutcome.FAILED, detail="ConnectionRefusedError"
    )


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(1, RegistrationOutcome.ACCEPTED), (2, RegistrationOutcome.FAILED)],
)
def test_next_is_tried_twice(
    api: RuntimeApiServer,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    expected: RegistrationOutcome,
) -> None:
    """A failed request for the next event is repeated once, as Init would hang."""
    connect, calls = socket.create_connection, []

    def create_connection(*args: object) -> socket.socket:
        calls.append(args)
        if 1 < len(calls) <= 1 + failures:
            raise ConnectionResetError
        return connect(*args)  # type: ignore[arg-type]  # reason: passed through

    monkeypatch.setattr(socket, "create_connection", create_connection)

    assert expected is register_without_events(api.address).outcome
