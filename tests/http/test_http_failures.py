"""The outcome of a request when the server, the network or the time fails."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport.stream import Stream

SHORT = 0.3
"""Seconds; a request that ends after far less than the tests' patience was bounded."""


def read_and_wait(conversation) -> None:
    """Read the request and never answer."""
    conversation.read()
    conversation.wait_until_left()


def bounded(ask):
    """Call a function, and assert that it did not hang."""
    began = time.monotonic()
    reply = ask()

    assert time.monotonic() - began < SHORT + 5
    return reply


def test_a_refused_connection_sent_nothing(get, closed_port) -> None:
    """If no server listens the counts are not delivered, and may be sent again."""
    reply = get(f"http://127.0.0.1:{closed_port}")

    assert (Outcome.NOT_DELIVERED, None, b"") == (
        reply.outcome,
        reply.status,
        reply.body,
    )
    assert reply.error.startswith("ConnectionRefusedError: ")


def test_an_unknown_host_sent_nothing(get) -> None:
    """A host without an address is an error; so is an impossible host."""
    for host in ("no-such-host.invalid", "a..b"):
        reply = get(f"http://{host}")

        assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)


def test_a_host_without_addresses_sent_nothing(get, monkeypatch) -> None:
    """An empty result of the resolver is an error, not a crash."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    reply = get("http://flags.example")

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert "the name could not be resolved: the host has no address" in reply.error


def test_a_silent_server_makes_the_outcome_unknown(peer, get) -> None:
    """The request was sent, and after the timeout its outcome is unknown."""
    server = peer(read_and_wait)
    reply = bounded(lambda: get(server.url, timeout=SHORT))

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)
    assert server.left.wait(20)  # the server saw the client close


def test_a_deadline_that_has_passed_sends_nothing(peer, get) -> None:
    """After the deadline no byte is written, so the request is not delivered."""
    server = peer()
    reply = get(server.url, timeout=-1)

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "the deadline passed" in reply.error
    assert [] == server.requests


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"],
)
def test_a_slow_answer_does_not_prolong_the_deadline(peer, get, head) -> None:
    """The timeout limits the whole exchange, not each byte of it."""
    gone = threading.Event()

    def drip(conversation):
        conversation.read()
        conversation.send(head)
        while not gone.wait(SHORT / 10):
            conversation.send(b"x")

    server = peer(drip)
    try:
        reply = bounded(lambda: get(server.url, timeout=SHORT))
    finally:
        gone.set()

    assert "the deadline passed" in reply.error or "timed out" in reply.error
    assert b"" == reply.body


def test_a_server_that_does_not_read_is_given_up(peer, http) -> None:
    """Sending a body is limited too; an incomplete request is not delivered."""
    server = peer(lambda conversation: gone.wait(20))
    gone = threading.Event()
    body = bytes(32 * 1024 * 1024)
    try:
        reply = bounded(
            lambda: http(server.url).request("POST", "/", {}, body, timeout=SHORT)
        )
    finally:
        gone.set()

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)


@pytest.fixture(name="overdue")
def _overdue():
    """Return a server and a stream whose deadline has passed, as after a freeze."""
    server, client = socket.socketpair()
    with server, client:
        yield server, Stream(client, time.monotonic() - 600).makefile()


def test_an_answer_from_before_the_thaw_is_read(overdue) -> None:
    """The deadline limits waiting, and bytes that have arrived need none."""
    server, reader = overdue
    server.sendall(b"HTTP/1.1 202 Accepted\r\n")

    assert b"HTTP/1.1 202 Accepted\r\n" == reader.readline()


def test_nothing_is_awaited_after_the_deadline(overdue) -> None:
    """Neither an answer nor the rest of one."""
    server, reader = overdue
    server.sendall(b"HTTP/1.1 202")

    with pytest.raises(TimeoutError, match="the deadline passed"):
        reader.readline()


def test_nothing_is_written_after_the_deadline() -> None:
    """A request that cannot be answered in time is not started."""
    server, client = socket.socketpair()
    with server, client:
        stream = Stream(client, time.monotonic() - 1)
        with pytest.raises(TimeoutError, match="the deadline passed"):
            stream.sendall(b"x")

        assert not stream.written


@pytest.mark.parametrize("answer", [b"", b"HTT"])
@pytest.mark.parametrize("how", ["reset", "shut"])
def test_a_connection_lost_before_the_answer_is_unknown(
    peer, http, answer, how
) -> None:
    """The server may or may not have processed the request it read."""

    def script(conversation):
        conversation.read()
        conversation.send(answer)
        getattr(conversation, how)()
        if how == "shut":
            conversation.wait_until_left()

    reply = http(peer(script).url).request("POST", "/", {}, b"counts", timeout=20)

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)
    assert reply.error is not None


def test_a_connection_lost_in_the_body_keeps_the_status(peer, http) -> None:
    """The status was received, so the counts are accepted."""

    def script(conversation):
        conversation.read()
        conversation.send(b"HTTP/1.1 202 OK\r\nContent-Length: 9\r\n\r\nx")
        conversation.shut()
        conversation.wait_until_left()

    reply = http(peer(script).url).request("POST", "/", {}, b"counts", timeout=20)

    assert (Outcome.TAKEN, 202, b"") == (reply.outcome, reply.status, reply.body)
    assert reply.error is not None


def test_an_answer_that_is_not_http_is_unknown(peer, http) -> None:
    """Another protocol on the port may have consumed the request."""

    def script(conversation):
        conversation.read()
        conversation.send(b"220 smtp.example ESMTP\r\n")

    reply = http(peer(script).url).request("POST", "/", {}, b"counts", timeout=20)

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)
    assert "BadStatusLine" in reply.error


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/a b", {}), ("/", {"X": "line\nbreak"}), ("/", {"X": "\u20ac"})],
)
def test_a_request_that_cannot_be_written_is_not_delivered(
    peer, http, path, headers
) -> None:
    """No byte is sent, and no exception propagates."""
    server = peer()
    reply = http(server.url).request("GET", path, headers, timeout=20)

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert [] == server.requests


def test_an_error_message_is_short(peer, get) -> None:
    """A quoted text is shortened, and an error without text is named."""
    server = peer(
        lambda conversation: (
            conversation.read(),
            conversation.send(b"x" * 5000 + b"\n"),
        )
    )
    reply = get(server.url)

    assert len(reply.error) < 300


def test_an_error_without_text_is_named(get, monkeypatch) -> None:
    """It is named by its type."""

    def fail(*_args, **_kwargs):
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    error = get("http://flags.example").error

    assert "the name could not be resolved: OSError (while connecting)" == error
