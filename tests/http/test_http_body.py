"""How a response's body is read: complete, bounded and decompressed, or rejected."""

from __future__ import annotations

import gzip
import zlib
from types import SimpleNamespace

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport import gunzip as gunzip_module
from serverless_flags._transport import http as http_module

STATE = b'{"version": 2, "features": []}' * 500
HEAD = b"HTTP/1.1 200 OK\r\n"


def chunked(*chunks: bytes) -> bytes:
    """Return the chunks of a body, without the final one."""
    framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(framed)


def once(*pieces: bytes):
    """Return a script that answers one request in pieces and sends nothing more."""

    def script(conversation):
        conversation.read()
        for piece in pieces:
            conversation.send(piece)
        conversation.shut()
        conversation.wait_until_left()

    return script


def test_a_body_of_known_length_is_read_whole(peer, get, response_of) -> None:
    """The body is what the server sent, with lower-case names of headers."""
    server = peer(once(response_of(200, STATE, ETag='"1"', Content_Type="a/b")))
    reply = get(server.url)

    assert (Outcome.TAKEN, 200, STATE, None) == (
        reply.outcome,
        reply.status,
        reply.body,
        reply.error,
    )
    assert '"1"' == reply.headers["etag"]
    assert "a/b" == reply.headers["content-type"]


def test_a_chunked_body_is_read_whole(peer, get) -> None:
    """Chunks are joined, however they are cut."""
    server = peer(once(chunked(STATE[:7], STATE[7:]), b"0\r\n\r\n"))
    reply = get(server.url)

    assert STATE == reply.body
    assert reply.error is None


LONG = bytes(range(256)) * 1024
"""More than one buffer: the end is read after the headers."""


def test_a_body_without_length_ends_with_the_connection(peer, get) -> None:
    """An HTTP/1.0 server ends its body by closing the connection."""
    server = peer(once(b"HTTP/1.0 200 OK\r\n\r\n", LONG))
    reply = get(server.url)

    assert (200, LONG, None) == (reply.status, reply.body, reply.error)


def test_a_response_with_connection_close_is_read_whole(
    peer, http, response_of
) -> None:
    """Only the connection is not kept after ``Connection: close``."""
    server = peer(once(response_of(200, LONG, Connection="close")))
    session = http(server.url)
    for _ in range(2):
        reply = session.request("GET", "/", {}, timeout=20)

        assert (200, LONG, None) == (reply.status, reply.body, reply.error)
    assert 2 == server.connections


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_complete(peer, http, status) -> None:
    """A 204 or a 304 has no body, and the connection is kept."""
    server = peer(lambda conversation: conversation.serve(status, etag="x"))
    session = http(server.url)
    replies = [session.request("GET", "/", {}, timeout=20) for _ in range(2)]

    assert [(status, b"", None)] * 2 == [(r.status, r.body, r.error) for r in replies]
    assert 1 == server.connections


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP"])
def test_a_compressed_body_is_decompressed(peer, get, response_of, name) -> None:
    """Gzip is requested and understood, in any spelling."""
    compressed = gzip.compress(STATE)
    server = peer(once(response_of(200, compressed, Content_Encoding=name)))
    reply = get(server.url)

    assert STATE == reply.body
    assert "gzip" == server.requests[0].headers["accept-encoding"]


MEMBERS = gzip.compress(STATE[:99]) + gzip.compress(STATE[99:])


@pytest.mark.parametrize(
    "body",
    [
        MEMBERS,
        gzip.compress(b"") + MEMBERS,
        MEMBERS + bytes(9),
        MEMBERS + b"trailing garbage",
        MEMBERS + bytes(3) + gzip.compress(b""),
    ],
    ids=["two", "empty", "zeros", "garbage", "zeros-between"],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_all_members_of_a_compressed_body_are_read(peer, get, body, size) -> None:
    """However they are cut; other data after them is ignored."""
    cuts = range(0, len(body), size)
    pieces = [body[start : start + size] for start in cuts]
    head = HEAD + b"Content-Encoding: gzip\r\n"
    answer = chunked(*pieces).replace(HEAD, head)
    reply = get(peer(once(answer, b"0\r\n\r\n")).url)

    assert (STATE, None) == (reply.body, reply.error)


@pytest.mark.parametrize("end", [1, 2, 9, 30])
def test_an_incomplete_member_is_an_error(peer, get, response_of, end) -> None:
    """Wherever the last member is cut."""
    first = gzip.compress(STATE[:99])
    cut = MEMBERS[: len(first) + end]
    reply = get(peer(once(response_of(200, cut, Content_Encoding="gzip"))).url)

    assert (b"", "the compressed body is cut short (in the body)") == (
        reply.body,
        reply.error,
    )


def test_many_members_are_bounded_together(peer, get, response_of, monkeypatch) -> None:
    """A decompression bomb may come in several members."""
    monkeypatch.setattr(http_module, "MOST_BYTES", 2000)
    bomb = gzip.compress(bytes(900)) * 3
    reply = get(peer(once(response_of(200, bomb, Content_Encoding="gzip"))).url)

    assert "larger than 2000 bytes" in reply.error


def test_another_compression_is_an_error(peer, get, response_of) -> None:
    """Only gzip was requested; the message says so."""
    reply = get(peer(once(response_of(200, STATE, Content_Encoding="br"))).url)

    assert "the body is compressed, but not with gzip (in the body)" == reply.error


def test_an_empty_body_needs_no_compression(peer, get, response_of) -> None:
    """A server that announces gzip may send an empty body."""
    server = peer(once(response_of(200, b"", Content_Encoding="gzip")))
    reply = get(server.url)

    assert (200, b"", None) == (reply.status, reply.body, reply.error)


CUT = gzip.compress(STATE)[:-9]


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([HEAD + b"Content-Length: 100\r\n\r\nshort"], "IncompleteRead"),
        ([chunked(STATE)], "IncompleteRead"),
        ([chunked(STATE)[:-100]], "IncompleteRead"),
        ([chunked(), b"not a length\r\n"], "IncompleteRead"),
        ([chunked(), b"-5\r\nhello"], "ValueError"),
        (
            [HEAD + b"Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\nnotgzip"],
            "zlib.error: the compressed body is damaged",
        ),
        (
            [
                HEAD
                + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(CUT)
                + CUT
            ],
            "cut short",
        ),
    ],
    ids=[
        "length",
        "no-last-chunk",
        "half-a-chunk",
        "no-chunk",
        "negative-chunk",
        "no-gzip",
        "half-a-gzip",
    ],
)
def test_an_incomplete_body_is_an_error(peer, http, pieces, why) -> None:
    """It is never used, and the connection is not kept."""
    server = peer(once(*pieces), lambda conversation: conversation.serve())
    session = http(server.url)
    reply = session.request("GET", "/", {}, timeout=20)

    assert (200, b"") == (reply.status, reply.body)
    assert why in reply.error
    assert session.request("GET", "/", {}, timeout=20).error is None
    assert 2 == server.connections


@pytest.mark.parametrize("framing", ["length", "chunks", "gzip"])
def test_a_body_is_bounded(peer, get, response_of, monkeypatch, framing) -> None:
    """No server fills the memory, not even with zeros that compress well."""
    monkeypatch.setattr(http_module, "MOST_BYTES", 1000)
    bomb = bytes(100_000)
    answer = {
        "length": response_of(200, bomb),
        "chunks": chunked(bomb),
        "gzip": response_of(200, gzip.compress(bomb), Content_Encoding="gzip"),
    }[framing]
    reply = get(peer(once(answer)).url)

    assert b"" == reply.body
    assert "the body is larger than 1000 bytes" in reply.error


def test_a_bomb_is_not_decompressed(peer, get, response_of, monkeypatch) -> None:
    """The bound applies during decompression, not afterwards."""
    unpacked = []

    class Inflating:
        def __init__(self, **options) -> None:
            self._real = zlib.decompressobj(**options)

        eof, unused_data = False, b""

        def decompress(self, *given) -> bytes:
            unpacked.append(self._real.decompress(*given))
            return unpacked[-1]

    spied = SimpleNamespace(decompressobj=Inflating, error=zlib.error)
    monkeypatch.setattr(gunzip_module, "zlib", spied)
    monkeypatch.setattr(http_module, "MOST_BYTES", 1000)
    bomb = gzip.compress(bytes(100_000))
    reply = get(peer(once(response_of(200, bomb, Content_Encoding="gzip"))).url)

    assert "larger than 1000 bytes" in reply.error
    assert 1001 == sum(map(len, unpacked))


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_largest_body_is_read(
    peer, get, response_of, monkeypatch, encoding
) -> None:
    """A body of exactly the largest size is accepted."""
    monkeypatch.setattr(http_module, "MOST_BYTES", len(STATE))
    sent = gzip.compress(STATE) if encoding == "gzip" else STATE
    reply = get(peer(once(response_of(200, sent, Content_Encoding=encoding))).url)

    assert STATE == reply.body
