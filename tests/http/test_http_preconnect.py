"""A connection that is opened before the first request."""

from __future__ import annotations

import threading
import time

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport.connector import Connector
from serverless_flags._transport.http import HttpClient
from serverless_flags._transport.preconnect import Preconnect


@pytest.fixture(name="preconnected")
def _preconnected(peer):
    """Return a peer, and an `HttpClient` and its `Preconnect` to that peer."""
    server = peer()
    preconnect = Preconnect(Connector(server.url, {}), 20)
    http = HttpClient(preconnect.connector, preconnect)
    yield server, http, preconnect
    http.close()


def ask(http, timeout=20):
    return http.request("GET", "/x", {}, timeout=timeout)


def test_the_first_request_uses_it(preconnected) -> None:
    """Later requests keep it, so one connection serves all."""
    server, http, _ = preconnected
    replies = [ask(http), ask(http)]

    assert [Outcome.TAKEN] * 2 == [reply.outcome for reply in replies]
    assert [0, 0] == [request.connection for request in server.requests]


def test_it_is_used_once(preconnected) -> None:
    """A request that finds it taken opens its own connection."""
    server, http, preconnect = preconnected
    preconnect.take(time.monotonic() + 20).close()

    assert Outcome.TAKEN is ask(http).outcome
    assert 1 == len(server.requests)


def test_an_unused_connection_is_closed(preconnected) -> None:
    """The server sees its end, so no file descriptor is leaked."""
    server, http, _ = preconnected
    http.close()

    assert server.left.wait(20)


def test_a_late_connection_is_closed(peer) -> None:
    """A request that no longer waits gets None, and the connection is closed."""
    server = peer()
    connector, proceed = Connector(server.url, {}), threading.Event()
    connect = connector.connect
    connector.connect = lambda deadline: proceed.wait(20) and connect(deadline)
    preconnect = Preconnect(connector, 20)
    nothing = preconnect.take(0)
    proceed.set()

    assert nothing is None
    assert server.left.wait(20)


def test_no_server_listens(closed_port) -> None:
    """The request connects again, and its reply has the error."""
    preconnect = Preconnect(Connector(f"http://127.0.0.1:{closed_port}", {}), 20)
    reply = ask(HttpClient(preconnect.connector, preconnect))

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert "refused" in reply.error.lower()


def test_certificates_that_cannot_be_read(peer, tmp_path) -> None:
    """The request's reply has the error, and the connection is closed."""
    server = peer()
    environ = {"REQUESTS_CA_BUNDLE": str(tmp_path / "none.pem")}
    preconnect = Preconnect(
        Connector(server.url.replace("http:", "https:"), environ), 20
    )
    reply = ask(HttpClient(preconnect.connector, preconnect))

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert "FileNotFoundError" in reply.error
    assert server.left.wait(20)
