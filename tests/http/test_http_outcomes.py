"""Every status means one of three outcomes: taken, not delivered, unknown."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport.http import _outcome
from serverless_flags._version import __version__

UNKNOWN = {501, 502, 504, 505, 506, 507, 508, 510, 511}
"""What a gateway may say after the server behind it has taken the request."""


@pytest.mark.parametrize("status", list(HTTPStatus))
def test_outcome_of_every_status(status) -> None:
    """2xx is taken; 5xx is unknown, except 500 and 503; others are not delivered."""
    expected = Outcome.NOT_DELIVERED
    if 200 <= status < 300:
        expected = Outcome.TAKEN
    elif status in UNKNOWN:
        expected = Outcome.UNKNOWN

    assert expected is _outcome(status)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(202, Outcome.TAKEN), (413, Outcome.NOT_DELIVERED), (504, Outcome.UNKNOWN)],
)
def test_the_reply_carries_the_outcome(peer, http, status, outcome) -> None:
    """A reply with any status has no connection error."""
    server = peer(lambda conversation: conversation.serve(status))
    reply = http(server.url).request("POST", "/", {}, b"counts", timeout=20)

    assert (outcome, status, None) == (reply.outcome, reply.status, reply.error)


def test_a_redirect_is_not_followed(peer, http) -> None:
    """The token stays with its host, so a redirect is an answer like any other."""
    elsewhere = peer()
    server = peer(lambda conversation: conversation.serve(302, Location=elsewhere.url))
    secret = {"Authorization": "default:development.secret"}
    reply = http(server.url).request("GET", "/", secret, timeout=20)

    assert (Outcome.NOT_DELIVERED, 302) == (reply.outcome, reply.status)
    assert [] == elsewhere.requests
    assert 0 == elsewhere.connections


def test_an_interim_response_is_not_the_answer(peer, http) -> None:
    """``100 Continue`` is skipped."""

    def script(conversation):
        conversation.read()
        conversation.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conversation.answer(202)

    reply = http(peer(script).url).request("POST", "/", {}, b"counts", timeout=20)

    assert 202 == reply.status


def test_a_request_is_written_as_given(peer, http) -> None:
    """Path, headers and body are unchanged; the path is below that of the URL."""
    server = peer()
    session = http(f"{server.url}/flags/api")
    session.request("POST", "/client/metrics?a=b", {"X-Y": "z"}, b"{}", timeout=20)
    request = server.requests[0]

    assert ("POST", "/flags/api/client/metrics?a=b") == (request.method, request.target)
    assert {
        "host": f"127.0.0.1:{server.port}",
        "accept-encoding": "gzip",
        "user-agent": f"serverless-flags/{__version__}",
        "x-y": "z",
        "content-length": "2",
    } == request.headers
    assert b"{}" == request.body
