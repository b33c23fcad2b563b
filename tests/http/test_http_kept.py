"""The kept connection: reused while it lasts, never trusted with a POST for long."""

from __future__ import annotations

import gc
import threading

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport import http as http_module
from serverless_flags._transport.stream import Stream


def answer_one_and_close(conversation) -> None:
    """Answer one request as if the connection stayed, and close it."""
    conversation.read()
    conversation.answer()


def answer_one_and_eat_the_next(conversation) -> None:
    """Answer one request; read the next one and close without a word."""
    conversation.read()
    conversation.answer()
    conversation.read()


def ask(session, method="GET", body=None, timeout=20):
    return session.request(method, "/x", {}, body, timeout=timeout)


@pytest.fixture(name="idle")
def _idle(monkeypatch):
    """Return what lets both clocks of the module, or one of them, move on."""
    import time
    from types import SimpleNamespace

    shift = {"monotonic": 0.0, "wall": 0.0}
    monkeypatch.setattr(
        http_module,
        "time",
        SimpleNamespace(
            monotonic=lambda: time.monotonic() + shift["monotonic"],
            time=lambda: time.time() + shift["wall"],
        ),
    )
    return shift.update


def test_one_connection_serves_request_after_request(peer, http) -> None:
    """A handshake is paid once: GET and POST share one connection."""
    server = peer()
    session = http(server.url)
    replies = [ask(session), ask(session, "POST", b"counts"), ask(session)]

    assert [200] * 3 == [reply.status for reply in replies]
    assert [0] * 3 == [request.connection for request in server.requests]
    assert ["GET", "POST", "GET"] == [request.method for request in server.requests]
    assert b"counts" == server.requests[1].body


def test_a_connection_that_the_server_closed_is_not_used(peer, http) -> None:
    """A close that has arrived is seen before anything is sent over it."""
    server = peer(answer_one_and_close, lambda conversation: conversation.serve())
    session = http(server.url)
    ask(session)
    assert server.left.wait(20)
    reply = ask(session, "POST", b"counts")

    assert (Outcome.TAKEN, 200) == (reply.outcome, reply.status)
    assert [0, 1] == [request.connection for request in server.requests]


def test_a_get_over_a_broken_connection_is_asked_again(peer, http) -> None:
    """A close that crosses the request costs a GET nothing but a new connection."""
    server = peer(
        answer_one_and_eat_the_next, lambda conversation: conversation.serve()
    )
    session = http(server.url)
    ask(session)
    reply = ask(session)

    assert (Outcome.TAKEN, 200, None) == (reply.outcome, reply.status, reply.error)
    assert [0, 0, 1] == [request.connection for request in server.requests]


def test_a_post_is_never_sent_twice(peer, http) -> None:
    """The server may have taken the counts before the connection broke."""
    server = peer(
        answer_one_and_eat_the_next, lambda conversation: conversation.serve()
    )
    session = http(server.url)
    ask(session)
    reply = ask(session, "POST", b"counts")

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)
    assert ["GET", "POST"] == [request.method for request in server.requests]


def test_a_get_whose_time_is_up_is_not_asked_again(peer, http) -> None:
    """A kept connection that hangs uses up the deadline; there is no second one."""

    def answer_one_and_hang(conversation):
        conversation.read()
        conversation.answer()
        conversation.read()
        conversation.wait_until_left()

    server = peer(answer_one_and_hang)
    session = http(server.url)
    ask(session)
    reply = ask(session, timeout=0.2)

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)
    assert 1 == server.connections


@pytest.mark.parametrize("clock", ["monotonic", "wall"])
@pytest.mark.parametrize(
    ("method", "idle_for", "connections"),
    [
        ("GET", http_module.IDLE_FOR_GET - 1, 1),
        ("GET", http_module.IDLE_FOR_GET + 1, 2),
        ("POST", http_module.IDLE_FOR_POST - 1, 1),
        ("POST", http_module.IDLE_FOR_POST + 1, 2),
    ],
)
def test_an_idle_connection_is_given_up(
    peer, http, idle, clock, method, idle_for, connections
) -> None:
    """What was idle too long, or frozen on either clock, may be dead unheard."""
    server = peer()
    session = http(server.url)
    ask(session)
    idle({clock: idle_for})
    reply = session.request(method, "/x", {}, timeout=1000)

    assert 200 == reply.status
    assert connections == server.connections


def test_a_request_beside_another_opens_its_own_connection(peer, http) -> None:
    """No request ever waits for another; of two connections one is kept."""
    arrived, free = threading.Event(), threading.Event()

    def first(conversation):
        conversation.read()
        arrived.set()
        free.wait(20)
        conversation.answer()
        conversation.serve()

    server = peer(first, lambda conversation: conversation.serve())
    session = http(server.url)
    slow = threading.Thread(target=ask, args=(session,))
    slow.start()
    assert arrived.wait(20)
    fast = ask(session)
    free.set()
    slow.join(20)

    assert 200 == fast.status
    assert 2 == server.connections
    assert 1 == len(session._idle)
    ask(session)
    assert 0 == server.requests[-1].connection


def test_close_lets_go_of_the_connection(peer, http) -> None:
    """After ``close`` the server sees the end; a later request opens a new one."""
    server = peer()
    session = http(server.url)
    ask(session)
    session.close()
    session.close()

    assert server.left.wait(20)
    assert 200 == ask(session).status
    assert 2 == server.connections


def test_a_connection_closed_from_outside_is_not_used(peer, http) -> None:
    """A file descriptor that somebody closed, as a fork's clean-up, is given up."""
    server = peer()
    session = http(server.url)
    ask(session)
    session._idle[0].stream.socket.close()

    assert 200 == ask(session, "POST", b"counts").status
    assert 2 == server.connections


def test_a_connection_that_is_over_leaves_nothing_behind(peer, http) -> None:
    """No cycle holds its buffers until the collector runs."""
    server = peer(lambda conversation: conversation.serve(Connection="close"))
    session = http(server.url)
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(o, Stream) for o in gc.get_objects())
        for _ in range(3):
            ask(session)
        after = sum(isinstance(o, Stream) for o in gc.get_objects())
    finally:
        gc.enable()

    assert before == after
