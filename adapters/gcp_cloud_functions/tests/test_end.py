"""The end of an instance: SIGTERM under every server, and what may be in its way."""

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

PATIENCE = 10.0
"""Seconds after which a test that waits gives up."""


def test_a_request_in_flight_is_answered_and_counted(start_under, server, gate):
    """SIGTERM drains the server; the last evaluation comes after the signal."""
    instance = start_under(environ={"GUNICORN_LOG_LEVEL": "info"})
    instance.request()

    answer, end = _end_while_in_flight(instance, gate)

    assert (answer.status, answer.json()["enabled"]) == (200, True)
    assert (end.code, end.killed) == (0, False)
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


def test_a_request_longer_than_the_grace_loses_its_own_counts_only(
    start_under, server, gate
):
    """Every server flushes at SIGTERM; what is killed after it had been counted."""
    instance = start_under(grace="1")
    asked = _ask_until_sigterm_is_heard(instance)

    assert server.counts("simpleFlag").total == 0

    with ThreadPoolExecutor(2) as threads:
        in_flight = threads.submit(instance.request, f"/?gate={gate}")
        with gate.open("w"):
            ended = threads.submit(instance.terminate)
            at_sigterm = server.wait_for_counts("simpleFlag", asked, PATIENCE)
            end = ended.result()
        in_flight.exception()

    assert Counts(yes=asked) == at_sigterm == server.counts("simpleFlag")
    assert end.killed


def _ask_until_sigterm_is_heard(instance: FunctionsFramework) -> int:
    """Return how often: gthread's main thread connects after the first invocation."""
    answers = [instance.request().json()]
    deadline = time.monotonic() + PATIENCE
    while answers[-1]["handler"] != "serverless_flags._signals.handler":
        assert time.monotonic() < deadline
        answers.append(instance.request().json())

    assert {answer["termination"] for answer in answers} == {"connected"}
    assert {answer["flush_interval"] for answer in answers} == {60.0}
    return len(answers)


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


def test_uvicorn_alone_is_heard_too(start_flagged, server):
    """``--debug`` for an aio target: one process, without a master."""
    instance = start_flagged("aio_http", server="debug")

    answer = instance.request().json()
    end = instance.terminate()

    assert answer["pid"] == instance.process.pid
    assert answer["termination"] == "connected"
    assert not end.killed
    assert Counts(yes=1) == server.counts("simpleFlag")
