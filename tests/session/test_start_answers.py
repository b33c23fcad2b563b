"""A start with a bad server, url, token or client serves defaults and warns once."""

from __future__ import annotations

import logging
import socket

import pytest

from serverless_flags import FlagSession, State


def _warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, None),
        (403, None),
        (404, None),
        (500, None),
        (302, None),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"features": [{"name": 7}]}'),
        (200, b"\xff\xfe"),
    ],
)
def test_a_bad_answer_only_means_defaults(make, server, caplog, status, body):
    """Whatever the server answers, defaults are served and one warning says why."""
    server.status["GET"], server.body = status, body
    flags = make(max_age=0, stale_while_revalidate=0)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    answers = [handler() for _ in range(5)]

    assert [False] * 5 == answers
    assert State.DEGRADED is flags.status.state
    assert 1 == len(_warnings(caplog))
    assert "secret" not in caplog.text
    assert flags.status.last_error


def test_a_session_recovers_with_the_next_good_answer(make, server, clock, caplog):
    """After the back-off the server is asked again, and the problem is resolved."""
    caplog.set_level(logging.INFO)
    server.status["GET"] = 500
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    first = handler()
    server.status["GET"] = 200
    clock.advance(400)

    assert first is False
    assert handler() is True
    assert State.READY is flags.status.state
    assert "flags are refreshed again" in caplog.text


def test_a_dead_server_only_means_defaults(make, caplog):
    """A refused connection is one warning and a default."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = make(url=f"http://127.0.0.1:{port}/api")
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert handler() is False
    assert 1 == len(_warnings(caplog))


def test_a_silent_server_delays_the_start_by_start_timeout_only(make, server, caplog):
    """The start stops waiting; the answer is used when it arrives."""
    server.answers.clear()
    flags = make(start_timeout=0.05)
    flags.start()
    waiting = flags.status.state
    server.answers.set()

    assert State.DEGRADED is waiting
    assert "no flags within start_timeout" in caplog.text
    assert flags.refresh(10)
    assert flags.is_enabled("simpleFlag")


def test_no_url_warns_once_and_serves_defaults(caplog):
    """A function can be imported and called in a unit test without any setting."""
    flags = FlagSession(plugins=[])
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    answers = [handler(), handler()]

    assert [False, False] == answers
    assert 1 == len(_warnings(caplog))
    assert "UNLEASH_URL" in caplog.text
    assert flags.refresh() is False
    assert flags.close()


def test_plain_http_to_another_host_warns(caplog):
    """A token that is sent unencrypted gives a warning."""
    flags = FlagSession(url="http://flags.invalid/api", start_timeout=0.001)

    flags.start()
    flags.close(0.001)

    assert "plain http" in caplog.text


def test_https_and_loopback_do_not_warn(make, caplog):
    """There is no warning where only this machine or TLS can reach the server."""
    make().start()
    secure = FlagSession(url="https://127.0.0.1:1/api")
    secure.start()
    secure.close()

    assert "plain http" not in caplog.text


def test_a_client_that_cannot_be_built_means_defaults(make, monkeypatch, caplog):
    """A failure of the session itself is logged, and defaults are served."""
    monkeypatch.setenv("TZ", "UTC")

    def broken(settings: object, app_name: str) -> None:
        raise RuntimeError("no engine here")

    monkeypatch.setattr("serverless_flags._process.start.open_backend", broken)
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert handler() is False
    assert {"name": "disabled", "enabled": False, "feature_enabled": False} == (
        flags.get_variant("simpleFlag")
    )
    assert "could not start" in caplog.text
    assert 2 == flags.status.uncounted
    assert flags.flush()
    assert flags.close()


def test_an_exception_in_a_request_is_a_failed_refresh(make, monkeypatch):
    """Even an unexpected exception in the client's request is a failed refresh."""
    from serverless_flags.clients._unleash_api import UnleashApi

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(UnleashApi, "fetch", broken)
    flags = make()
    flags.start()

    assert "RuntimeError in the flag client" == flags.status.last_error


def test_a_token_callable_is_called_again_after_a_401(make, server):
    """A rotated secret is read again and the request repeated once."""
    tokens = iter(["old", "new", "newer"])
    server.status["GET"] = 401

    def rotate() -> str:
        token = next(tokens)
        if token == "new":
            server.status["GET"] = 200
        return token

    flags = make(api_token=rotate)
    flags.start()

    assert State.READY is flags.status.state
    assert ["old", "new"] == server.tokens
