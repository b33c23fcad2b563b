"""Addresses have an age, and after any failure the host is resolved again."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport import http as http_module
from serverless_flags._transport import resolver as resolver_module
from serverless_flags._transport import stream as stream_module
from serverless_flags._transport.resolver import FRESH_FOR

URL = "http://flags.example"


def closing(status=200):
    return lambda conversation: conversation.serve(status, Connection="close")


@pytest.fixture(name="resolve")
def _resolve_(monkeypatch):
    """Return the ports to which the host resolves, and the list of look-ups."""
    ports: list[int] = []
    asked: list[str] = []

    def getaddrinfo(host, _port, **_options):
        asked.append(host)
        if not ports:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return ports, asked


@pytest.fixture(name="clocks")
def _clocks(monkeypatch):
    """Return a function that advances one of the two clocks of the addresses."""
    return _move_clocks(monkeypatch, resolver_module)


def _move_clocks(monkeypatch, *modules):
    shift = {"monotonic": 0.0, "wall": 0.0}
    clocks = SimpleNamespace(
        monotonic=lambda: time.monotonic() + shift["monotonic"],
        time=lambda: time.time() + shift["wall"],
    )
    for module in modules:
        monkeypatch.setattr(module, "time", clocks)
    return shift.update


def ask(session, method="GET", timeout=20, url_body=None, **options):
    return session.request(method, "/x", {}, url_body, timeout=timeout, **options)


def hang_up(conversation):
    conversation.read()
    conversation.reset()


def cut(conversation):
    conversation.read()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")


def hang(conversation):
    conversation.read()
    conversation.wait_until_left()


FAILURES = {
    **{str(status): closing(status) for status in (301, 401, 404, 429, 500, 503)},
    "reset": hang_up,
    "cut": cut,
    "no-http": lambda conversation: conversation.send(b"220 smtp\r\n"),
    "timeout": hang,
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("failure", FAILURES)
def test_after_any_failure_the_host_is_resolved_again(
    peer, http, resolve, failure, method
) -> None:
    """The old address accepts connections and answers, but the server has moved."""
    ports, asked = resolve
    old, new = peer(FAILURES[failure]), peer()
    ports.append(old.port)
    session = http(URL)
    ask(session, method, 1 if failure == "timeout" else 20)
    ports[:] = [new.port]

    assert 200 == ask(session, method).status
    assert 2 == len(asked)
    assert 1 == len(new.requests)


def test_after_a_failed_handshake_the_host_is_resolved_again(
    peer, http, resolve, tls, bundle
) -> None:
    """The server that has the old address now has another certificate."""
    ports, asked = resolve
    ports.append(peer(tls=tls).port)
    session = http("https://flags.example", {"REQUESTS_CA_BUNDLE": bundle})
    replies = [ask(session), ask(session)]

    assert [Outcome.NOT_DELIVERED] * 2 == [reply.outcome for reply in replies]
    assert 2 == len(asked)


def test_without_failures_the_host_is_resolved_once(peer, http, resolve) -> None:
    """A look-up costs time."""
    ports, asked = resolve
    ports.append(peer(closing()).port)
    session = http(URL)
    for _ in range(3):
        assert 200 == ask(session).status

    assert 1 == len(asked)


@pytest.mark.parametrize("clock", ["monotonic", "wall"])
def test_addresses_are_resolved_again_after_a_minute(
    peer, http, resolve, clocks, clock
) -> None:
    """By either clock, because a freeze may stop one of them."""
    ports, asked = resolve
    old, new = peer(closing()), peer(closing())
    ports.append(old.port)
    session = http(URL)
    ask(session)
    ports[:] = [new.port]
    clocks({clock: FRESH_FOR - 5})
    ask(session)
    clocks({clock: FRESH_FOR + 5})
    ask(session, timeout=1000)

    assert (2, 1) == (len(old.requests), len(new.requests))
    assert 2 == len(asked)


def test_without_a_result_the_old_addresses_are_used(peer, http, resolve) -> None:
    """The next request resolves the host again."""
    ports, asked = resolve
    server = peer(closing(503), closing())
    ports.append(server.port)
    session = http(URL)
    ask(session)
    ports.clear()

    assert 200 == ask(session).status
    assert 200 == ask(session).status
    assert 3 == len(asked)


@pytest.mark.parametrize("exiting", [False, True])
def test_a_resolver_that_hangs_is_not_waited_for(
    peer, http, resolve, monkeypatch, exiting
) -> None:
    """A request uses the old addresses in time, and at exit without waiting."""
    ports, _ = resolve
    ports.append(peer(closing(503), closing()).port)
    session = http(URL)
    ask(session)
    proceed, asked = threading.Event(), []

    def hanging(*_args, **_options):
        asked.append(True)
        proceed.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        reply = ask(session, timeout=20 if exiting else 3, exiting=exiting)
    finally:
        proceed.set()

    assert 200 == reply.status
    assert ([] if exiting else [True]) == asked


def test_resolving_for_the_first_time_ends_at_the_deadline(http, monkeypatch):
    """However long the resolver hangs; it is called once for all requests."""
    proceed, asked = threading.Event(), []

    def hanging(*_args, **_options):
        asked.append(True)
        proceed.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    session = http(URL)
    try:
        replies = [ask(session, timeout=0.05) for _ in range(3)]
    finally:
        proceed.set()

    assert [Outcome.NOT_DELIVERED] * 3 == [reply.outcome for reply in replies]
    assert "the name was not resolved in time" in replies[0].error
    assert 1 == len(asked)


def test_at_exit_an_unresolved_host_is_not_resolved(http, resolve) -> None:
    """The request fails at once, with the reason."""
    _, asked = resolve
    reply = ask(http(URL), "POST", exiting=True)

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert "not resolved before the interpreter's exit" in reply.error
    assert [] == asked


def test_at_the_exit_old_addresses_are_used(peer, http, resolve, clocks) -> None:
    """At exit the age does not matter, because no time is left to resolve."""
    ports, asked = resolve
    ports.append(peer(closing()).port)
    session = http(URL)
    ask(session)
    clocks({"monotonic": 1000.0, "wall": 1000.0})

    assert 200 == ask(session, "POST", 2000, exiting=True).status
    assert 1 == len(asked)


def test_at_the_exit_a_failed_connection_is_not_tried_again(
    peer, http, resolve
) -> None:
    """At exit a second try would need a look-up."""
    ports, asked = resolve
    server = peer(closing())
    ports.append(server.port)
    session = http(URL)
    ask(session)
    server.stop()

    assert Outcome.NOT_DELIVERED is ask(session, "POST", exiting=True).outcome
    assert 1 == len(asked)


@pytest.mark.parametrize(
    "error", [UnicodeError("label too long"), OverflowError(), ValueError("\0")]
)
def test_any_exception_of_the_resolver_is_the_requests_error(
    http, monkeypatch, error
) -> None:
    """A host that no resolver can read is an error, described by its type."""

    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    reply = ask(http(URL))

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert f"could not be resolved: {type(error).__name__}" in reply.error
    assert "label" not in reply.error


@pytest.mark.parametrize("clock", ["monotonic", "wall"])
def test_a_busy_connection_is_replaced_after_some_minutes(
    peer, http, monkeypatch, clock
) -> None:
    """Otherwise a host that has moved would never be noticed."""
    move = _move_clocks(monkeypatch, http_module, stream_module)
    server = peer()
    session = http(server.url)
    for step in range(8):
        move({clock: step * 50.0})
        assert 200 == ask(session).status

    assert 2 == server.connections
