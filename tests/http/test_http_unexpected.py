"""Unexpected exceptions in a request: a written request is never sent again."""

from __future__ import annotations

import http.client
import socket
import time

import pytest

from serverless_flags import _passing as passing_module
from serverless_flags._protocols import Outcome
from serverless_flags._transport.connector import Connector
from serverless_flags._transport.http import HttpClient
from serverless_flags._transport.preconnect import Preconnect


class PassingError(Exception):
    """Stands for an exception of a framework."""


BEFORE = {
    "request": (http.client.HTTPConnection, "request"),
    "headers": (http.client.HTTPConnection, "putheader"),
    "end of headers": (http.client.HTTPConnection, "endheaders"),
}
AFTER = {
    **BEFORE,
    "answer": (http.client.HTTPConnection, "getresponse"),
    "head": (http.client.HTTPResponse, "begin"),
}
READ = (http.client.HTTPResponse, "read")
INIT = (http.client.HTTPConnection, "__init__")
"""What tracers and recorders of requests replace."""


def patch(monkeypatch, target, error, *, after):
    """Raise at a place of http.client, before or after its own code."""
    owner, name = target
    real = getattr(owner, name)

    def patched(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        raise error

    monkeypatch.setattr(owner, name, patched)


@pytest.mark.parametrize("place", BEFORE)
def test_an_unwritten_request_is_not_delivered(peer, http, monkeypatch, place) -> None:
    """The counts may be sent again, and the error names the exception."""
    server = peer()
    session = http(server.url)
    with monkeypatch.context() as patching:
        patch(patching, BEFORE[place], AttributeError("no span"), after=False)
        reply = session.request("POST", "/", {}, b"counts", timeout=20)

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "AttributeError (before the request)" == reply.error
    assert 200 == session.request("POST", "/", {}, b"counts", timeout=20).status
    assert 1 == len(server.requests)


@pytest.mark.parametrize("place", ["request", "end of headers", "answer", "head"])
def test_a_written_request_is_unknown(peer, http, monkeypatch, place) -> None:
    """The server may have accepted the counts; the connection is closed."""
    server = peer()
    session = http(server.url)
    with monkeypatch.context() as patching:
        patch(patching, AFTER[place], AttributeError("no span"), after=True)
        reply = session.request("POST", "/", {}, b"counts", timeout=20)

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)
    assert "AttributeError (after the request)" == reply.error
    assert server.left.wait(20)
    assert 1 == len(server.requests)


def test_a_get_with_an_answer_is_not_sent_again(peer, http, monkeypatch) -> None:
    """Only a connection that broke without an answer is replaced."""
    server = peer()
    session = http(server.url)
    session.request("GET", "/", {}, timeout=20)
    patch(monkeypatch, AFTER["answer"], AttributeError(), after=True)
    session.request("GET", "/", {}, timeout=20)

    assert 2 == len(server.requests)


def test_an_error_in_the_body_keeps_the_status(peer, http, monkeypatch) -> None:
    """The server has said whether it accepted the counts."""
    server = peer(lambda conversation: conversation.serve(202, b"x"))
    patch(monkeypatch, READ, RuntimeError(), after=False)
    reply = http(server.url).request("POST", "/", {}, b"counts", timeout=20)

    assert (Outcome.TAKEN, 202) == (reply.outcome, reply.status)
    assert "RuntimeError (in the body)" == reply.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, PassingError])
@pytest.mark.parametrize("place", ["answer", "connect"])
def test_a_runtimes_exception_propagates(peer, http, monkeypatch, error, place) -> None:
    """The connection is closed."""
    monkeypatch.setattr(
        passing_module, "_names", frozenset({f"{__name__}.PassingError"})
    )
    server = peer()
    session = http(server.url)
    session.request("GET", "/", {}, timeout=20)
    if place == "answer":
        patch(monkeypatch, AFTER["answer"], error(), after=True)
    else:
        session._drop_idle(0)
        patch(monkeypatch, (Connector, "connect"), error(), after=False)

    with pytest.raises(error):
        session.request("GET", "/", {}, timeout=20)
    assert server.left.wait(20)


def test_any_exception_while_connecting_is_the_requests_error(
    http, monkeypatch
) -> None:
    """Not only exceptions of the network."""
    patch(monkeypatch, (Connector, "connect"), RuntimeError("s3cret"), after=False)
    reply = http("http://127.0.0.1:9").request("GET", "/", {}, timeout=20)

    assert (Outcome.NOT_DELIVERED, "RuntimeError (while connecting)") == (
        reply.outcome,
        reply.error,
    )


def test_an_error_after_connecting_closes_the_connection(
    peer, http, monkeypatch
) -> None:
    """No file descriptor is leaked."""
    server = peer(lambda conversation: conversation.wait_until_left())
    patch(monkeypatch, INIT, RuntimeError(), after=False)
    reply = http(server.url).request("GET", "/", {}, timeout=20)

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert server.left.wait(20)


@pytest.mark.parametrize("host", ["flags..example", "a" * 70 + ".example"])
def test_an_error_while_preconnecting_is_not_logged(host) -> None:
    """A host that cannot be resolved is the error of the request."""
    preconnect = Preconnect(Connector(f"http://{host}", {}), 20)
    session = HttpClient(preconnect.connector, preconnect)
    reply = session.request("GET", "/", {}, timeout=20)

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert "UnicodeError" in reply.error or "UnicodeEncodeError" in reply.error


def test_any_exception_while_preconnecting_is_ignored(monkeypatch) -> None:
    """The thread ends without a connection."""

    def fail(*_args):
        raise OverflowError

    monkeypatch.setattr(socket.socket, "connect", fail)
    preconnect = Preconnect(Connector("http://127.0.0.1:9", {}), 20)

    assert preconnect.take(time.monotonic() + 20) is None
