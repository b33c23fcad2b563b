"""Interim responses are skipped; unexpected bytes close the connection."""

from __future__ import annotations

import pytest

from serverless_flags._protocols import Outcome

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"


def interim(status: int) -> bytes:
    return b"HTTP/1.1 %d Word\r\nX-Y: z\r\n\r\n" % status


def ask(session, method="GET", body=None):
    return session.request(method, "/x", {}, body, timeout=20)


@pytest.mark.parametrize("status", [100, 102, 103, 104, 199])
@pytest.mark.parametrize("times", [1, 3])
def test_every_interim_response_is_skipped(
    peer, http, response_of, status, times
) -> None:
    """For flags and counts; the connection is kept, and the answers match."""

    def script(conversation):
        for number in (b"one", b"two", b"three"):
            conversation.read()
            answer = response_of(200, number)
            conversation.send(interim(status) * times + answer)

    server = peer(script)
    session = http(server.url)
    replies = [ask(session), ask(session, "POST", b"counts"), ask(session)]

    assert [b"one", b"two", b"three"] == [reply.body for reply in replies]
    assert [Outcome.TAKEN] * 3 == [reply.outcome for reply in replies]
    assert 1 == server.connections


def test_the_final_answer_may_come_later(peer, http) -> None:
    """It is the answer to this request, even in a later packet."""

    def script(conversation):
        conversation.read()
        conversation.send(EARLY)
        assert conversation.quiet(0.1)
        conversation.answer(503, Retry_After="9")

    reply = ask(http(peer(script).url), "POST", b"counts")

    assert (Outcome.NOT_DELIVERED, 503) == (reply.outcome, reply.status)
    assert "9" == reply.headers["retry-after"]
    assert "link" not in reply.headers


def test_a_proxy_may_send_interim_responses(peer, http, tls, bundle) -> None:
    """Before it opens the tunnel."""
    server = peer(tls=tls)

    def script(conversation):
        conversation.read()
        conversation.send(EARLY + b"HTTP/1.1 200 Connection established\r\n\r\n")
        conversation.relay(server.port)

    environ = {"https_proxy": peer(script).url, "REQUESTS_CA_BUNDLE": bundle}

    assert 200 == ask(http(f"https://localhost:{server.port}", environ)).status


def test_a_switch_of_protocols_is_an_error(peer, http) -> None:
    """It was not requested, and the connection is not used again."""

    def script(conversation):
        conversation.read()
        conversation.answer(101)

    server = peer(script, lambda conversation: conversation.serve())
    session = http(server.url)
    reply = ask(session)

    assert (Outcome.NOT_DELIVERED, 101) == (reply.outcome, reply.status)
    assert 200 == ask(session).status
    assert 2 == server.connections


@pytest.mark.parametrize(
    "more", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", EARLY]
)
def test_a_connection_with_extra_bytes_is_not_kept(
    peer, http, response_of, more
) -> None:
    """They would be read as the next answer."""

    def script(conversation):
        conversation.read()
        conversation.send(response_of(200, b"first") + more)
        conversation.wait_until_left()

    server = peer(script, lambda conversation: conversation.serve(202))
    session = http(server.url)

    assert b"first" == ask(session).body
    assert server.left.wait(20)  # at once, not with the next request
    assert 202 == ask(session, "POST", b"counts").status


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_connection_with_later_bytes_is_not_used(
    peer, http, tls, bundle, secure
) -> None:
    """Between two requests a server has nothing to send."""
    sent = []

    def script(conversation):
        conversation.read()
        conversation.answer(200, b"first")
        assert conversation.quiet(0.2)  # the connection is kept by now
        conversation.answer(503)
        sent.append(True)
        conversation.wait_until_left()

    server = peer(
        script,
        lambda conversation: conversation.serve(202),
        tls=tls if secure else None,
    )
    session = http(server.url, {"REQUESTS_CA_BUNDLE": bundle})
    assert b"first" == ask(session).body
    server.wait_for(sent)

    assert 202 == ask(session, "POST", b"counts").status
    assert 2 == server.connections


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_after_a_failure_the_connection_is_not_kept(peer, http, status) -> None:
    """If the host has moved, another server may answer at its old address."""
    server = peer(lambda conversation: conversation.serve(status))
    session = http(server.url)
    for _ in range(2):
        assert status == ask(session).status

    assert 2 == server.connections


def test_a_failure_closes_the_idle_connection_too(peer, http) -> None:
    """It leads to the same address."""
    server = peer()
    session = http(server.url)
    ask(session)
    session._failed(OSError(), "in a test", Outcome.NOT_DELIVERED)
    ask(session)

    assert 2 == server.connections
