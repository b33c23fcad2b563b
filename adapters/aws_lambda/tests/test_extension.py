"""The extension that makes Lambda send SIGTERM, against good and bad servers."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from serverless_flags_aws_lambda import _extension
from serverless_flags_aws_lambda._environment import Function
from serverless_flags_aws_lambda._extension import (
    Outcome,
    Registration,
    register_once,
    register_silently,
)
from serverless_flags_aws_lambda._lifecycle import Lifecycle
from serverless_flags_aws_lambda._runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

WAIT = 10.0
"""Seconds; a bound against hanging only."""

ACCEPTED = b"HTTP/1.1 200 OK\r\nlambda-extension-IDENTIFIER: abc\r\n\r\n{}"


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what earlier tests registered in this process."""
    kept: list[socket.socket] = []
    monkeypatch.setattr(_extension, "_registrations", {})
    monkeypatch.setattr(_extension, "_kept", kept)
    yield
    for connection in kept:
        connection.close()


@pytest.fixture(name="api")
def _api() -> Iterator[RuntimeApi]:
    """Yield the API of an instance in Init."""
    lifecycle = Lifecycle(workers=1, managed=False, on_idle=lambda: None)
    api = RuntimeApi(lifecycle, Function("f", "module.handler"))
    yield api
    api.close()


class ScriptedServer:
    """Accept connections and answer each with the next of ``replies``, or never."""

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


def test_registers_without_events_and_calls_next(api: RuntimeApi) -> None:
    """After registration the API waits for us no more, so Init can end."""
    registration = register_silently(api.address)
    (extension,) = api.lifecycle.extensions.values()

    assert registration.outcome is Outcome.ACCEPTED
    assert (extension.name, extension.events) == ("serverless-flags", [])
    assert api.lifecycle.wait(lambda: extension.waiting, WAIT)


def test_registers_once_per_process(
    api: RuntimeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sessions of one process are one extension; a forked child is another."""
    mine = [register_once(register_silently, api.address) for _ in range(2)]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    child = register_once(register_silently, api.address)

    assert [Outcome.ACCEPTED] * 2 == [registration.outcome for registration in mine]
    assert child.outcome is Outcome.REFUSED
    assert len(api.lifecycle.extensions) == 1


def test_next_is_sent_and_never_read() -> None:
    """The request for an event carries the identifier, whatever the header's case."""
    with ScriptedServer(ACCEPTED, b"") as server:
        registration = register_silently(server.address)
        for _ in range(2):
            assert server.served.acquire(timeout=WAIT)
        head = server.requests[1].decode()

    assert registration == Registration(Outcome.ACCEPTED, "abc")
    assert head.startswith("GET /2020-01-01/extension/event/next HTTP/1.1\r\n")
    assert "Lambda-Extension-Identifier: abc\r\n" in head
    assert len(_extension._kept) == 1


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
    """A refusal or nonsense, also one that never ends, is an answer that says why."""
    monkeypatch.setattr(_extension, "_REGISTER_TIMEOUT", 0.2)
    with ScriptedServer(reply) as server:
        registration = register_silently(server.address)

    assert registration.outcome is not Outcome.ACCEPTED
    assert re.search(why_not, registration.why_not)


@pytest.mark.parametrize("address", ["", "127.0.0.1:x", "127.0.0.1:99999999"])
def test_malformed_address(address: str) -> None:
    """A unit test that sets the variable to anything gets no error."""
    assert register_silently(address).outcome is Outcome.FAILED


def test_nobody_listens() -> None:
    """A refused connection is an outcome too."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    registration = register_silently(f"127.0.0.1:{port}")

    assert registration == Registration(Outcome.FAILED, detail="ConnectionRefusedError")


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(1, Outcome.ACCEPTED), (2, Outcome.FAILED)],
)
def test_next_is_tried_twice(
    api: RuntimeApi,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    expected: Outcome,
) -> None:
    """Once registered, Init hangs without next: a failure is tried again."""
    connect, calls = socket.create_connection, []

    def create_connection(*args: object) -> socket.socket:
        calls.append(args)
        if 1 < len(calls) <= 1 + failures:
            raise ConnectionResetError
        return connect(*args)  # type: ignore[arg-type]  # reason: passed through

    monkeypatch.setattr(socket, "create_connection", create_connection)

    assert expected is register_silently(api.address).outcome
