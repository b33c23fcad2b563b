"""A faulty server sends the wrong answers that each `Fault` promises."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest

from serverless_flags.testing import Counts
from serverless_flags.testing.faults import Fault, FaultyFlagServer

BUCKET = {"start": "", "stop": "", "toggles": {"simpleFlag": {"yes": 1, "no": 0}}}
METRICS = json.dumps({"appName": "test", "bucket": BUCKET}).encode()
PATIENCE = 20.0
PLENTY = 1_000_000
"""Bytes that no answer to these requests has, unless it is without end."""


@pytest.fixture(name="server")
def _server():
    with FaultyFlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="connect")
def _connect(server):
    """Connect, send one request, and return the socket."""
    opened = []

    def connect(method="POST", path="/api/client/metrics", body=METRICS, address=None):
        peer = (address or server.address, server.port)
        connection = socket.create_connection(peer, timeout=PATIENCE)
        opened.append(connection)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: {server.token}"
        )
        size = f"Content-Length: {len(body)}"
        connection.sendall(f"{head}\r\n{size}\r\n\r\n".encode() + body)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def read_until(connection, end):
    """Read until these bytes have arrived; fail when the connection ends before."""
    content = b""
    while end not in content:
        content += (piece := connection.recv(65536))
        assert piece, content
    return content


def read_much(connection):
    """Read more than any finite answer has."""
    size = 0
    while size < PLENTY:
        size += (more := len(connection.recv(65536)))
        assert more
    return size


def read_to_end(connection):
    """Read until the other side closes; fail with a timeout when it does not."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass


@pytest.mark.parametrize("fault", [Fault.INTERIM, Fault.INTERIM_LATE])
def test_interim_answers(server, connect, fault):
    """Three of them precede the answer, which is as usual."""
    server.fault = fault
    content = read_until(connect(), b"HTTP/1.1 202 ")
    lines = [line for line in content.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]

    assert [b"100", b"102", b"103", b"202"] == [line.split()[1] for line in lines]
    assert Counts(yes=1) == server.counts("simpleFlag")
    (exchange,) = server.exchanges
    assert (True, 202) == (exchange.taken, exchange.status)


def test_100_continue_without_end(server, connect):
    """The counts are accepted, and the client never learns it."""
    server.fault = Fault.ENDLESS_INTERIM
    connection = connect()
    read_much(connection)

    assert (True, None) == (server.exchanges[0].taken, server.exchanges[0].status)
    server.release()
    read_to_end(connection)


def test_a_head_that_drips(server, connect):
    """A status, and then a header without end, byte by byte."""
    server.fault = Fault.ENDLESS_HEADERS
    content = read_until(connect(), b"X-Drip: xx")

    assert content.startswith(b"HTTP/1.1 202 ")
    assert b"\r\n\r\n" not in content


@pytest.mark.parametrize(
    ("fault", "first"),
    [(Fault.ENDLESS_CHUNKS, b"\r\n\r\n1;xx"), (Fault.ENDLESS_TRAILERS, b"\r\n0\r\nX-")],
)
def test_a_body_without_end(server, connect, fault, first):
    """The flags are requested, and the chunks of the answer never end."""
    server.fault = fault
    connection = connect("GET", "/api/client/features", b"")
    content = read_until(connection, first)

    assert content.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in content
    assert b"Content-Length" not in content
    assert (fault is Fault.ENDLESS_TRAILERS) is (b'"simpleFlag"' in content)
    read_much(connection)


def test_trailers_after_an_empty_body(server, connect):
    """An answer without a body has only the last chunk before them."""
    server.fault = Fault.ENDLESS_TRAILERS

    assert b"\r\n\r\n0\r\nX-Trailer: " in read_until(connect(), b"X-Trailer: ")


@pytest.mark.parametrize("fault", [f for f in Fault if "ENDLESS" in f.name])
def test_the_end_of_an_endless_answer(server, connect, fault):
    """It ends when the fault is over, or when the client disconnects."""
    server.fault = fault
    gone = connect()
    gone.recv(1)
    gone.close()
    connection = connect()
    connection.recv(1)
    server.fault = Fault.NONE
    server.release()

    read_to_end(connection)
    assert b"HTTP/1.1 202 " in read_until(connect(), b"\r\n\r\n")


def test_a_drained_server(server, connect):
    """It answers with an error and closes the connection."""
    server.fault = Fault.DRAINED
    connection = connect()

    assert b"HTTP/1.1 503 " in read_until(connection, b"\r\n\r\n")
    read_to_end(connection)
    assert Counts() == server.counts("simpleFlag")


def test_which_faults_are_answers():
    """A client that follows RFC 9110 does not notice these; the others never end."""
    answering = {Fault.NONE, Fault.SLOW, Fault.INTERIM, Fault.INTERIM_LATE}
    endless = {fault for fault in Fault if fault.name.startswith("ENDLESS_")}

    assert answering == {fault for fault in Fault if fault.answers}
    assert endless == {fault for fault in Fault if fault.endless}


def test_a_move(server, connect):
    """It answers at the new address; at the old one it answers an error and closes."""
    kept = connect()
    read_until(kept, b"HTTP/1.1 202 ")
    before, after = server.address, server.move()
    left = connect(address=before)

    assert ("127.0.0.1", "127.0.0.2") == (before, after)
    assert b"HTTP/1.1 503 " in read_until(left, b"\r\n\r\n")
    read_to_end(left)
    assert b"HTTP/1.1 202 " in read_until(connect(), b"\r\n\r\n")
    assert [False, True, False] == [exchange.left for exchange in server.exchanges]
    assert Counts(yes=2) == server.counts("simpleFlag")
    assert before == server.move()
    assert b"HTTP/1.1 202 " in read_until(connect(), b"\r\n\r\n")


def test_a_move_while_no_address_listens(server, connect):
    """Both addresses refuse connections, and both answer when the fault is over."""
    server.fault = Fault.REFUSED
    address = server.move()
    with pytest.raises(ConnectionRefusedError):
        connect(address=address)
    server.fault = Fault.NONE
    assert b"HTTP/1.1 202 " in read_until(connect(), b"\r\n\r\n")

    server.fault = Fault.REFUSED
    for address in ("127.0.0.1", "127.0.0.2"):
        with pytest.raises(ConnectionRefusedError):
            connect(address=address)
