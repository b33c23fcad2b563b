"""Counts sent at interpreter exit: nothing without a deadline is called."""

from __future__ import annotations

import functools
import socket
import socketserver
import threading
import time

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags.clients import _unleash_api

BUCKET = {"start": "1", "stop": "2", "toggles": {"a": {"yes": 1, "no": 0}}}


@pytest.fixture(name="no_look_up")
def _no_look_up(monkeypatch):
    """Let no host be resolved; return the list of attempts."""
    asked = []

    def getaddrinfo(host, *_args, **_options):
        asked.append(host)
        raise socket.gaierror(-2, "no")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.fixture(name="no_thread")
def _no_thread(monkeypatch):
    """Let no thread start, as at interpreter exit."""

    def start():
        def refuse(*_args):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr("_thread.start_new_thread", refuse)

    return start


def test_counts_are_sent_without_a_thread(api_of, server, no_thread) -> None:
    """To an IP address, over a connection that is opened on this thread."""
    server.answer(202)
    one_by_one = functools.partial(socketserver.TCPServer.process_request, server._http)
    server._http.process_request = one_by_one
    api = api_of(register=False)
    no_thread()
    sent = api.send(BUCKET, timeout=20, exiting=True)

    assert Outcome.TAKEN is sent.outcome


def test_an_unresolved_host_is_an_error(api_of, no_look_up) -> None:
    """At once, and the counts are kept."""
    api = api_of(url="http://flags.example/api")
    began = time.monotonic()
    sent = api.send(BUCKET, timeout=60, exiting=True)

    assert Outcome.NOT_DELIVERED is sent.outcome
    assert "was not resolved before the interpreter's exit" in sent.error
    assert [] == no_look_up
    assert time.monotonic() - began < 30


def test_a_preconnect_is_waited_for_in_time(api_of, monkeypatch) -> None:
    """Not past the deadline, however long its resolver hangs."""
    goes_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: goes_on.wait(20) and [])
    api = api_of(url="http://flags.example/api")
    api.prepare(20)
    began = time.monotonic()
    try:
        sent = api.send(BUCKET, timeout=0.2, exiting=True)
    finally:
        goes_on.set()

    assert Outcome.NOT_DELIVERED is sent.outcome
    assert time.monotonic() - began < 10


def test_a_token_that_was_never_returned_is_an_error(api_of, server) -> None:
    """The user's function is not called."""
    asked = []
    api = api_of(api_token=lambda: asked.append(True) or "t")
    sent = api.send(BUCKET, timeout=20, exiting=True)

    assert (Outcome.NOT_DELIVERED, "api_token() has not returned before") == (
        sent.outcome,
        sent.error[:35],
    )
    assert [] == asked
    assert [] == server.asked


def test_the_last_token_is_used(api_of, server, state_of) -> None:
    """It is not renewed, even if the server rejects it."""
    asked = []
    api = api_of(api_token=lambda: asked.append(True) or "t")
    for status in (200, 401, 202):
        server.answer(status, state_of() if status == 200 else "")
    api.fetch(None, timeout=20)
    outcomes = [api.send(BUCKET, timeout=20, exiting=True).outcome for _ in range(2)]

    assert [Outcome.NOT_DELIVERED, Outcome.TAKEN] == outcomes
    assert ["t"] * 3 == [request.headers["authorization"] for request in server.asked]
    assert 1 == len(asked)


def test_a_lock_of_another_thread_is_waited_for_in_time(api_of, server) -> None:
    """If it is held past the deadline, the request fails."""
    api = api_of()
    with api._opening:
        sent = api.send(BUCKET, timeout=0.05, exiting=True)

    assert (Outcome.NOT_DELIVERED, "the deadline passed") == (sent.outcome, sent.error)
    assert [] == server.asked


def test_concurrent_requests_prepare_one_connection(
    api_of, server, monkeypatch
) -> None:
    """Whichever thread is first, one preconnect is started."""
    made, goes_on = [], threading.Event()
    real = _unleash_api.UnleashApi._new_http

    def slow(api, *args, **options):
        made.append(True)
        goes_on.wait(20)
        return real(api, *args, **options)

    monkeypatch.setattr(_unleash_api.UnleashApi, "_new_http", slow)
    api = api_of()
    threads = [threading.Thread(target=api.prepare, args=(20,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    goes_on.set()
    for thread in threads:
        thread.join(20)

    assert 1 == len(made)
    assert 1 == len(api._opened)


@pytest.mark.parametrize("timeout", [1e10, float("inf")])
def test_an_infinite_timeout_is_a_day(api_of, server, timeout) -> None:
    """Longer ones overflow in locks and sockets."""
    server.answer(202)

    assert Outcome.TAKEN is api_of().send(BUCKET, timeout=timeout).outcome
