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
    server.set("simpleFlag", False)
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
