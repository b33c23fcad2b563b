"""A session with a misbehaving server: bounded waits, quiet logs, and recovery."""

from __future__ import annotations

import itertools
import json
import logging
import socket
import threading

import pytest

from serverless_flags import FlagSession, State
from serverless_flags.testing import Instant

TOKEN = "default:development.secret-token"
STATE = json.dumps(
    {
        "version": 2,
        "features": [
            {"name": "on", "enabled": True, "strategies": [{"name": "default"}]}
        ],
    }
).encode()


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> Instant:
        return Instant(self.seconds, self.seconds)


@pytest.fixture(name="clock")
def _clock():
    return Clock()


@pytest.fixture(name="make")
def _make(clock, caplog):
    """Make a session with short timeouts; then check that no token was logged."""
    caplog.set_level(logging.DEBUG)
    made = []

    def make(url, **settings):
        defaults = {"request_timeout": 0.3, "start_timeout": 5, "clock": clock}
        flags = FlagSession(
            url=f"{url}/api", api_token=TOKEN, plugins=[], **{**defaults, **settings}
        )
        made.append(flags)
        return flags

    yield make
    for flags in made:
        flags.close(0.5)
        assert TOKEN not in repr(flags) + repr(flags.status)
    assert TOKEN not in caplog.text


def silent(talk):
    """Accept the request and never answer."""
    talk.read()
    talk.wait_until_left()


def drip(talk):
    """Send the answer one byte at a time, without end."""
    talk.read()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    pause = threading.Event()
    while not pause.wait(0.02):
        talk.send(b" ")


def reset(talk):
    """Drop the connection in the middle of the body."""
    talk.read()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    talk.reset()


def truncated(talk):
    """Close the connection before the body is complete."""
    talk.read()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    talk.shut()
    talk.wait_until_left()


def huge(talk):
    """Send 50 MB of spaces."""
    talk.read()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n")
    for _ in range(800):
        talk.send(b" " * 65536)


def says(status, body=b"", **headers):
    """Answer one request with a status, and close."""

    def script(talk):
        talk.read()
        talk.answer(status, body, Connection="close", **headers)

    script.__name__ = f"{status}-{body[:12].decode()}"
    return script


BAD = [
    silent,
    drip,
    reset,
    truncated,
    huge,
    says(401),
    says(403),
    says(404),
    says(429, Retry_After="30"),
    says(500),
    says(502),
    says(503, Retry_After="30"),
    says(301, Location="http://127.0.0.1:9/api/client/features"),
    says(200, b"<html>nginx</html>"),
    says(200, STATE[:40]),
    says(200, b"[]"),
    says(200, b'{"features": {}}'),
    says(200, b""),
]


@pytest.mark.parametrize("script", BAD, ids=lambda script: script.__name__)
def test_a_bad_server_means_defaults_and_one_warning(peer, make, caplog, script):
    """A server that is bad from the start costs a bounded wait and one warning."""
    flags = make(peer(script).url)
    handler = flags.wrap(lambda: flags.is_enabled("on"))

    answers = [handler() for _ in range(5)]

    assert [False] * 5 == answers
    assert State.DEGRADED is flags.status.state
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert 1 == len(warnings)
    assert warnings[0].startswith("flags could not be refreshed")


@pytest.mark.parametrize("script", BAD, ids=lambda script: script.__name__)
def test_the_last_good_flags_are_served(peer, make, clock, caplog, script):
    """When the server fails they are served; its next good answer ends the problem."""
    turns = itertools.chain([_good, script], itertools.repeat(_good))

    def take_turns(talk):
        next(turns)(talk)

    flags = make(peer(take_turns).url, refresh_timeout=5)
    handler = flags.wrap(lambda: flags.is_enabled("on"))
    first = handler()
    clock.seconds += 61
    during = handler(), handler()
    error = flags.status.last_error
    clock.seconds += 400
    after = handler()

    assert (True, (True, True), True) == (first, during, after)
    assert error is not None
    assert flags.status.last_error is None
    assert "flags are refreshed again" in caplog.text


def _good(talk):
    """Answer one request and close, so that each request opens a connection."""
    talk.read()
    talk.answer(200, STATE, Connection="close")


def test_a_server_that_is_down_means_defaults_and_one_warning(make, caplog):
    """A refused connection is handled like any other failure."""
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        flags = make(f"http://127.0.0.1:{gone.getsockname()[1]}")
        handler = flags.wrap(lambda: flags.is_enabled("on"))

        assert [False, False] == [handler(), handler()]
    assert 1 == sum(r.levelno >= logging.WARNING for r in caplog.records)


ECHOES = {
    "status line": "{token}\r\n\r\n",
    "reason": "HTTP/1.1 500 {token}\r\nContent-Length: 0\r\n\r\n",
    "header": "HTTP/1.1 400 No\r\n{token}: {token}\r\nContent-Length: 0\r\n\r\n",
    "chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{token}\r\n",
    "redirect": "HTTP/1.1 302 No\r\nLocation: /{token}\r\nContent-Length: 0\r\n\r\n",
    "body": "HTTP/1.1 403 No\r\n\r\n{token}",
}


@pytest.mark.parametrize("place", ECHOES)
def test_an_echoed_token_is_never_shown(peer, make, caplog, place):
    """Wherever the server puts it, neither the status nor the log shows it."""

    def echo(talk):
        talk.read()
        talk.send(ECHOES[place].format(token=TOKEN).encode())

    flags = make(peer(echo).url)
    flags.is_enabled("on")
    flags.flush(0.3)

    assert flags.status.last_error
    assert "secret-token" not in str(flags.status) + caplog.text


def test_a_server_cannot_add_lines_to_the_log(peer, make, caplog):
    """Whatever it sends, each log record is one line."""

    def forge(talk):
        talk.read()
        talk.answer(302, Location="/x\x0b\x1b[2J\x85WARNING forged")

    flags = make(peer(forge).url)
    flags.start()

    messages = [record.getMessage() for record in caplog.records]

    assert any("redirect" in message for message in messages)
    assert all(message.isprintable() for message in messages)


def test_a_redirect_does_not_send_the_token_to_another_host(peer, make):
    """No request is sent to the target of a redirect."""
    other = peer(says(200, STATE))
    target = f"{other.url}/api/client/features"
    flags = make(peer(says(302, Location=target)).url)
    flags.start()

    assert [] == other.requests
    assert "the server answered 302" in flags.status.last_error


def test_a_silent_server_delays_only_the_first_invocations(peer, make):
    """
    The start waits start_timeout, and one invocation per back-off refresh_timeout.

    During a request or a back-off, invocations run at once, and the server is asked
    once for all of them.
    """
    server = peer(silent)
    flags = make(
        server.url,
        start_timeout=0.05,
        refresh_timeout=0.01,
        request_timeout=5,
        clock=None,
    )
    handler = flags.wrap(lambda: flags.is_enabled("on"))

    for _ in range(100):
        handler()

    assert 1 == server.connections


def test_a_silent_server_delays_only_one_flush(peer, make):
    """Without a shutdown signal invocations flush, but not while a flush hangs."""

    def script(talk):
        if talk.read().method == "GET":
            talk.answer(200, STATE, Connection="close")
        else:
            talk.wait_until_left()

    server = peer(script)
    flags = make(
        server.url, flush_interval=0, flush_timeout=0.01, request_timeout=2, clock=None
    )
    handler = flags.wrap(lambda: flags.is_enabled("on"))
    for _ in range(100):
        handler()

    posts = [request for request in server.requests if request.method == "POST"]
    assert len(posts) <= 2
    assert flags.status.unknown_counts == 0


def test_a_terminating_process_ends_within_its_grace(peer, make):
    """A last flush to a silent server ends with the grace, its counts unknown."""

    def script(talk):
        if talk.read().method == "GET":
            talk.answer(200, STATE, Connection="close")
        else:
            talk.wait_until_left()

    flags = make(peer(script).url)
    flags.is_enabled("on")

    assert flags.close(0.1) is False
    assert 1 == flags.status.unknown_counts
