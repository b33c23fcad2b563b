"""A whole exchange is bounded: by its deadline and by the bytes it receives."""

from __future__ import annotations

import collections
import socket
import threading
import time

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport import http as http_module
from serverless_flags._transport import stream as stream_module
from serverless_flags._transport.stream import Stream

SHORT = 0.3
"""Seconds; far less than the tests' patience."""

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HEADS = {
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
    "interim": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 10),
    "interim-headers": (b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n" * 500),
    "headers": (OK, b"X: y\r\n" * 500),
    "one-header": (OK + b"X: ", b"x" * 5000),
    "status-line": (b"HTTP/1.1 200 ", b"x" * 5000),
}
BODIES = {
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 500),
    "one-trailer": (CHUNKED + b"0\r\nX: ", b"x" * 5000),
    "chunk-extensions": (CHUNKED, (b"1;" + b"x" * 5000 + b"\r\n \r\n")),
    "chunks": (CHUNKED, b"1\r\n \r\n" * 500),
    "length": (OK + b"Content-Length: 99999999999\r\n\r\n", b" " * 5000),
    "no-length": (OK + b"\r\n", b" " * 5000),
}
"""What a peer begins with, and what it repeats without end."""

EVERY = {**HEADS, **BODIES}


def endless(begin: bytes, piece: bytes):
    """Return a script that answers a request without end."""

    def script(conversation):
        conversation.read()
        conversation.send(begin)
        while True:
            conversation.send(piece)

    return script


def bounded(ask):
    """Call a function, and assert that it did not hang."""
    began = time.monotonic()
    reply = ask()

    assert time.monotonic() - began < SHORT + 10
    return reply


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", EVERY)
def test_an_endless_answer_ends_at_the_limit_of_bytes(
    peer, get, tls, bundle, monkeypatch, kind, secure
) -> None:
    """Whatever part of it is endless, the request ends long before the deadline."""
    monkeypatch.setattr(http_module, "MOST_BYTES", 100_000)
    server = peer(endless(*EVERY[kind]), tls=tls if secure else None)
    reply = bounded(lambda: get(server.url, {"REQUESTS_CA_BUNDLE": bundle}))

    assert reply.error is not None
    assert "deadline" not in reply.error
    assert b"" == reply.body
    assert server.left.wait(20)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", ["continue", "trailers", "chunks", "no-length"])
def test_an_endless_answer_ends_at_the_deadline(
    peer, get, tls, bundle, monkeypatch, kind, secure
) -> None:
    """The deadline holds even without a limit of bytes."""
    monkeypatch.setattr(http_module, "MOST_BYTES", 1 << 40)
    monkeypatch.setattr(http_module, "MOST_HEAD", 1 << 40)
    monkeypatch.setattr(stream_module, "MOST_HEAD", 1 << 40)
    server = peer(endless(*EVERY[kind]), tls=tls if secure else None)
    environ = {"REQUESTS_CA_BUNDLE": bundle}
    reply = bounded(lambda: get(server.url, environ, timeout=SHORT))

    assert "the deadline passed" in reply.error
    assert server.left.wait(20)


@pytest.mark.parametrize("kind", HEADS)
def test_an_endless_answer_of_a_proxy_is_cut_off(peer, get, kind) -> None:
    """The answer to ``CONNECT`` is bounded like any other; nothing was sent."""
    proxy = peer(endless(*HEADS[kind]))
    reply = bounded(lambda: get("https://flags.example", {"https_proxy": proxy.url}))

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "deadline" not in reply.error
    assert proxy.left.wait(20)


def test_a_slow_handshake_ends_at_the_deadline(peer, get, bundle) -> None:
    """Bytes that arrive during a handshake do not prolong the deadline."""
    gone = threading.Event()

    def drip(conversation):
        conversation.send(b"\x16\x03\x03\x40\x00")
        while not gone.wait(0.02):
            conversation.send(b"\x02")

    server = peer(drip)
    url, environ = server.url.replace("http", "https"), {"CURL_CA_BUNDLE": bundle}
    try:
        reply = bounded(lambda: get(url, environ, timeout=SHORT))
    finally:
        gone.set()

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "the deadline passed" in reply.error or "timed out" in reply.error


def test_counts_before_endless_interim_answers_are_unknown(peer, http) -> None:
    """They were sent, and the server never said whether it accepted them."""
    server = peer(endless(*HEADS["continue"]))
    reply = http(server.url).request("POST", "/", {}, b"counts", timeout=20)

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)


def test_late_bytes_are_read_for_a_moment_only() -> None:
    """A freeze may hide an answer, but a flood is not read."""
    server, client = socket.socketpair()
    flood = threading.Thread(target=_flood, args=(server,))
    with server, client:
        flood.start()
        stream = Stream(client, time.monotonic() - 600)
        stream.socket.limit = 1 << 40
        reader = stream.makefile()
        with pytest.raises(TimeoutError, match="the deadline passed"):
            collections.deque(iter(lambda: reader.read(65536), None), maxlen=0)
        server.shutdown(socket.SHUT_RDWR)
    flood.join(20)

    assert not flood.is_alive()


def _flood(sock: socket.socket) -> None:
    try:
        while True:
            sock.sendall(bytes(65536))
    except OSError:
        pass
