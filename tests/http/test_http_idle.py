"""The idle connection: reused while it is fresh, and only briefly for a POST."""

from __future__ import annotations

import gc
import threading

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport import http as http_module
from serverless_flags._transport.stream import Stream


def answer_one_and_close(conversation) -> None:
    """Answer one request as if the connection stayed open, and close it."""
    conversation.read()
    conversation.answer()


def answer_one_and_eat_the_next(conversation) -> None:
    """Answer one request; read the next one and close without an answer."""
    conversation.read()
    conversation.answer()
    conversation.read()


def ask(session, method="GET", body=None, timeout=20):
    return session.request(method, "/x", {}, body, timeout=timeout)


@pytest.fixture(name="idle")
def _idle(monkeypatch):
    """Return a function that advances both clocks of the module, or one of them."""
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


def test_one_connection_serves_several_requests(peer, http) -> None:
    """A GET and a POST share one connection and its handshake."""
    server = peer()
    session = http(server.url)
    replies = [ask(session), ask(session, "POST", b"counts"), ask(session)]

    assert [200] * 3 == [reply.status for reply in replies]
    assert [0] * 3 == [request.connection for request in server.requests]
    assert ["GET", "POST", "GET"] == [request.method for request in server.requests]
    assert b"counts" == server.requests[1].body


def test_a_connection_that_the_server_closed_is_not_used(peer, http) -> None:
    """If the close has arrived, nothing is sent over the connection."""
    server = peer(answer_one_and_close, lambda conversation: conversation.serve())
    session = http(server.url)
    ask(session)
    assert server.left.wait(20)
    reply = ask(session, "POST", b"counts")

    assert (Outcome.TAKEN, 200) == (reply.outcome, reply.status)
    assert [0, 1] == [request.connection for request in server.requests]


def test_a_get_over_a_broken_connection_is_sent_again(peer, http) -> None:
    """If the server closes while a GET is sent, a new connection is used."""
    server = peer(
        answer_one_and_eat_the_next, lambda conversation: conversation.serve()
    )
    session = http(server.url)
    ask(session)
    reply = ask(session)

    assert (Outcome.TAKEN, 200, None) == (reply.outcome, reply.status, reply.error)
    assert [0, 0, 1] == [request.connection for request in server.requests]


def test_a_post_is_never_sent_twice(peer, http) -> None:
    """The server may have processed the counts before the connection broke."""
    server = peer(
        answer_one_and_eat_the_next, lambda conversation: conversation.serve()
    )
    session = http(server.url)
    ask(session)
    reply = ask(session, "POST", b"counts")

    assert (Outcome.UNKNOWN, None) == (reply.outcome, reply.status)
    assert ["GET", "POST"] == [request.method for request in server.requests]


def test_a_get_after_its_deadline_is_not_sent_again(peer, http) -> None:
    """If an idle connection hangs until the deadline, there is no second try."""

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
        ("GET", http_module.MAX_IDLE_GET - 1, 1),
        ("GET", http_module.MAX_IDLE_GET + 1, 2),
        ("POST", http_module.MAX_IDLE_POST - 1, 1),
        ("POST", http_module.MAX_IDLE_POST + 1, 2),
    ],
)
def test_an_old_idle_connection_is_not_used(
    peer, http, idle, clock, method, idle_for, connections
) -> None:
    """After a long idle time, or a freeze, it may be dead."""
    server = peer()
    session = http(server.url)
    ask(session)
    idle({clock: idle_for})
    reply = session.request(method, "/x", {}, timeout=1000)

    assert 200 == reply.status
    assert connections == server.connections


def test_a_parallel_request_opens_its_own_connection(peer, http) -> None:
    """No request waits for another; one of the two connections is kept."""
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


def test_close_closes_the_idle_connection(peer, http) -> None:
    """The server sees the end; a later request opens a new connection."""
    server = peer()
    session = http(server.url)
    ask(session)
    session.close()
    session.close()

    assert server.left.wait(20)
    assert 200 == ask(session).status
    assert 2 == server.connections


def test_a_connection_closed_from_outside_is_not_used(peer, http) -> None:
    """A file descriptor closed elsewhere, as after a fork, is detected."""
    server = peer()
    session = http(server.url)
    ask(session)
    session._idle[0].stream.socket.close()

    assert 200 == ask(session, "POST", b"counts").status
    assert 2 == server.connections


def test_a_closed_connection_is_freed_at_once(peer, http) -> None:
    """No reference cycle keeps its buffers until a garbage collection."""
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
