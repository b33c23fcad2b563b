"""From the first request to SIGTERM: the session under every server there is."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from serverless_flags.testing import Counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serverless_flags.testing import Answer, Exit
    from serverless_flags_gcp_cloud_functions._emulator import FunctionsFramework

SERVERS = pytest.mark.parametrize(
    ("target", "options"),
    [
        pytest.param("http", {"server": "gthread"}, id="gthread"),
        pytest.param("http", {"server": "sync"}, id="sync"),
        pytest.param("aio_http", {}, id="uvicorn"),
        pytest.param("aio_def_http", {}, id="uvicorn-def"),
    ],
)

EVERY_TIME = {
    "SERVERLESS_FLAGS_MAX_AGE": "0",
    "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
}

PATIENCE = 10.0
"""Seconds after which a test that waits gives up."""


def _fetches(server):
    return [r for r in server.requests if r.path.endswith("/client/features")]


@SERVERS
def test_many_first_requests_start_one_client(start_flagged, server, target, options):
    """Start is single-flight per worker."""
    instance = start_flagged(target, **options)

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: instance.request().json(), range(8)))

    assert [answer["enabled"] for answer in answers] == [True] * 8
    assert 1 == len({answer["pid"] for answer in answers}) == len(_fetches(server))


@SERVERS
def test_a_flip_is_obeyed(start_flagged, server, target, options):
    """With ages of 0 the next request sees it."""
    instance = start_flagged(target, environ=EVERY_TIME, **options)

    before = instance.request().json()["enabled"]
    server.set("simpleFlag", False)  # noqa: FBT003  reason: its signature
    after = instance.request().json()["enabled"]

    assert (before, after) == (True, False)


@SERVERS
def test_the_counts_arrive_at_sigterm(start_flagged, server, target, options):
    """Only the worker has a client, and it keeps its counts until its end."""
    instance = start_flagged(target, **options)

    assert server.requests == []

    answers = [instance.request().json() for _ in range(3)]

    assert [answer["flush_interval"] for answer in answers] == [60.0] * 3
    assert server.counts("simpleFlag").total == 0

    end = instance.terminate()

    assert server.counts("simpleFlag") == Counts(yes=3, no=0)
    assert len(_fetches(server)) == 1
    assert (end.code, end.killed) == (0, False)


@SERVERS
def test_a_request_in_flight_is_answered_and_counted(
    start_flagged, server, gate, target, options
):
    """SIGTERM drains the server; the last evaluation comes after the signal."""
    instance = start_flagged(target, environ={"GUNICORN_LOG_LEVEL": "info"}, **options)
    instance.request()

    answer, end = _end_while_in_flight(instance, gate)

    assert (answer.status, answer.json()["enabled"]) == (200, True)
    assert not end.killed
    assert Counts(yes=2) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http_streaming", "aio_http_streaming"])
def test_a_body_in_flight_is_sent_and_counted(start_flagged, server, gate, target):
    """A streamed body outlives its invocation: only the last flush can count it."""
    instance = start_flagged(target, environ={"GUNICORN_LOG_LEVEL": "info"})
    instance.request()

    answer, end = _end_while_in_flight(instance, gate)

    assert (answer.status, answer.body) == (201, "flag: True")
    assert not end.killed
    assert Counts(yes=2) == server.counts("simpleFlag")


def _end_while_in_flight(
    instance: FunctionsFramework, gate: Path
) -> tuple[Answer, Exit]:
    """Let a request go on only when the server is draining."""
    with ThreadPoolExecutor(2) as threads:
        in_flight = threads.submit(instance.request, f"/?gate={gate}")
        with gate.open("w"):  # opens when the function has opened its end
            ended = threads.submit(instance.terminate)
            if instance.server == "uvicorn":
                _wait_until(lambda: not _takes_connections(instance.port))
            else:  # a gunicorn worker keeps its listener open to the end
                _wait_until(lambda: "Handling signal: term" in instance.output)
        return in_flight.result(), ended.result()


def _takes_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("target", ["http", "aio_http"])
def test_the_main_thread_hears_sigterm_at_once(start_flagged, server, gate, target):
    """What was counted is sent while a request is still in flight."""
    instance = start_flagged(target, server="sync")
    instance.request()
    with ThreadPoolExecutor(2) as threads:
        in_flight = threads.submit(instance.request, f"/?gate={gate}")
        with gate.open("w"):
            ended = threads.submit(instance.terminate)
            at_sigterm = server.wait_for_counts("simpleFlag", 1, PATIENCE)
        answer, end = in_flight.result(), ended.result()

    assert Counts(yes=1) == at_sigterm
    assert (answer.status, end.killed) == (200, False)
    assert Counts(yes=2) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http", "aio_http"])
def test_a_request_longer_than_the_grace_does_not_lose_the_counts(
    start_flagged, server, gate, target
):
    """A handler on the main thread flushes at SIGTERM, not after the last answer."""
    instance = start_flagged(target, server="sync", grace="1")
    instance.request()
    with ThreadPoolExecutor(1) as threads:
        in_flight = threads.submit(instance.request, f"/?gate={gate}")
        with gate.open("w"):
            end = instance.terminate()
        in_flight.exception()

    assert end.killed
    assert Counts(yes=1) == server.counts("simpleFlag")


def test_an_open_connection_delays_the_flush_and_does_not_lose_it(
    start_flagged, server
):
    """The server waits for clients that keep their connection open."""
    instance = start_flagged("http")
    connection = http.client.HTTPConnection(
        "127.0.0.1", instance.port, timeout=PATIENCE
    )
    connection.request("GET", "/")
    connection.getresponse().read()

    end = instance.terminate()
    connection.close()

    assert not end.killed
    assert Counts(yes=1) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http", "aio_http"])
def test_every_worker_has_its_own_session(start_flagged, server, target):
    """Each pid fetches once and flushes its own counts."""
    instance = start_flagged(target, workers="2")

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: instance.request().json(), range(40)))
    instance.terminate()

    assert len({answer["pid"] for answer in answers}) == len(_fetches(server))
    assert Counts(yes=40) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http_two_sessions", "aio_http_two_sessions"])
def test_two_sessions_are_both_flushed(start_flagged, server, target):
    """One process may hold several sessions."""
    instance = start_flagged(target)
    instance.request()
    instance.terminate()

    assert Counts(yes=1) == server.counts("simpleFlag")
    assert Counts(yes=1) == server.counts("otherFlag")


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        pytest.param({"K_CONFIGURATION": ""}, {}, id="1st-generation"),
        pytest.param({}, {"server": "debug"}, id="reloader"),
    ],
)
def test_without_a_signal_every_invocation_flushes(
    start_flagged, server, environ, options
):
    """The 1st generation promises no SIGTERM; the reloader's child gets SIGKILL."""
    instance = start_flagged("http", environ=environ, **options)

    assert instance.request().json()["flush_interval"] == 0
    assert server.wait_for_counts("simpleFlag", 1, PATIENCE) == Counts(yes=1)


@pytest.mark.parametrize("target", ["http_wrapped_last", "aio_http_wrapped_last"])
def test_the_decorators_may_change_places(start_flagged, server, target):
    """functions-framework goes by the function's name, which the wrapper keeps."""
    instance = start_flagged(target)

    assert instance.request().json()["enabled"]


@pytest.mark.parametrize(
    "target", ["cloud_event", "cloud_event_wrapped_last", "aio_cloud_event"]
)
def test_event_functions(start_flagged, server, target):
    """Either decorator may stand first."""
    instance = start_flagged(target)

    answer = instance.cloud_event({"a": 1}, id="7")

    assert (answer.status, "event 7 True" in instance.output) == (200, True)


def test_background_functions(start_flagged, server):
    """The older signature has data and context."""
    instance = start_flagged("background", signature_type="event")

    answer = instance.request(
        method="POST",
        headers={"content-type": "application/json"},
        body=b'{"context": {"eventId": "7", "eventType": "t"}, "data": 1}',
    )

    assert (answer.status, "event 7 1 True" in instance.output) == (200, True)


def test_typed_functions(start_flagged, server):
    """The framework reads the argument's type through the wrapper."""
    instance = start_flagged("typed")

    answer = instance.request(
        method="POST",
        headers={"content-type": "application/json"},
        body=b'{"name": "simpleFlag"}',
    )

    assert answer.json() == {"enabled": True}


@pytest.mark.parametrize("target", ["http_streaming", "aio_http_streaming"])
def test_a_streamed_body_is_untouched(start_flagged, server, target):
    """It runs after the function has returned, and what it evaluates is counted."""
    instance = start_flagged(target)

    answer = instance.request()
    instance.terminate()

    assert (answer.status, answer.body) == (201, "flag: True")
    assert Counts(yes=1) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http_failing", "aio_http_failing"])
def test_an_exception_is_the_functions_own(start_flagged, server, target):
    """The framework answers 500 and logs it; the evaluation before it is counted."""
    instance = start_flagged(target)

    answer = instance.request()
    instance.terminate()

    assert answer.status == 500
    assert "LookupError: asked, and failed: True" in instance.output
    assert Counts(yes=1) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http", "aio_http"])
def test_the_client_address_decides(start, server, target):
    """The evaluation context reaches a strategy of the flag."""
    strategy = {"name": "remoteAddress", "parameters": {"IPs": "203.0.113.7"}}
    flag = {"name": "simpleFlag", "enabled": True, "strategies": [strategy]}
    with type(server)({"version": 2, "features": [flag]}) as own:
        instance = start(f"flagged.py:{target}", environ=own.environ)
        allowed = {"x-forwarded-for": "198.51.100.1, 203.0.113.7"}
        forged = {"x-forwarded-for": "203.0.113.7, 198.51.100.1"}

        assert instance.request(headers=allowed).json()["enabled"]
        assert not instance.request(headers=forged).json()["enabled"]


def test_a_server_that_is_down_leaves_the_defaults(start, server):
    """The function answers all the same, and the instance ends in time."""
    server.stop()
    instance = start("flagged.py:http", environ=server.environ)

    answer = instance.request()
    end = instance.terminate()

    assert (answer.status, answer.json()["enabled"]) == (200, False)
    assert (end.code, end.killed) == (0, False)
