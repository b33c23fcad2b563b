"""Shutdown under every server: idle, during requests and with open connections."""

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
    from serverless_flags_gcp_cloud_functions._emulator.emulator import (
        GcpCloudFunctionsEmulator,
    )

PATIENCE = 10.0
"""Seconds after which a test fails instead of hanging."""


def test_a_request_in_flight_is_answered_and_counted(start_under, server, gate):
    """A request that is in flight at SIGTERM is answered and counted."""
    instance = start_under(environ={"GUNICORN_LOG_LEVEL": "info"})
    instance.request()

    answer, end = _end_while_in_flight(instance, gate)

    assert (answer.status, answer.json()["enabled"]) == (200, True)
    assert (end.code, end.killed) == (0, False)
    assert Counts(yes=2) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http_streaming", "aio_http_streaming"])
def test_a_body_in_flight_is_sent_and_counted(start_flagged, server, gate, target):
    """A streamed body that outlives its invocation is counted by the last flush."""
    instance = start_flagged(target, environ={"GUNICORN_LOG_LEVEL": "info"})
    instance.request()

    answer, end = _end_while_in_flight(instance, gate)

    assert (answer.status, answer.body) == (201, "flag: True")
    assert not end.killed
    assert Counts(yes=2) == server.counts("simpleFlag")


def _end_while_in_flight(
    instance: GcpCloudFunctionsEmulator, gate: Path
) -> tuple[Answer, Exit]:
    """Hold a request until the server drains; return its answer and the exit."""
    with ThreadPoolExecutor(2) as threads:
        in_flight = threads.submit(instance.request, f"/?gate={gate}")
        with gate.open("w"):  # opens when the function has opened its end
            ended = threads.submit(instance.terminate)
            if instance.server == "uvicorn":
                _wait_until(lambda: not _takes_connections(instance.port))
            else:  # a gunicorn worker keeps its listener open until it exits
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
    """At SIGTERM all earlier evaluations are sent, even if SIGKILL follows."""
    instance = start_under(grace="1")
    asked = _ask_until_sigterm_is_handled(instance)

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


def _ask_until_sigterm_is_handled(instance: GcpCloudFunctionsEmulator) -> int:
    """Return the number of requests: gthread connects after the first ones."""
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
    """An idle client connection delays shutdown; the counts still arrive."""
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


def test_uvicorn_without_gunicorn_flushes(start_flagged, server):
    """uvicorn without a master, by ``--debug``, flushes at SIGTERM too."""
    instance = start_flagged("aio_http", server="debug")

    answer = instance.request().json()
    end = instance.terminate()

    assert answer["pid"] == instance.process.pid
    assert answer["termination"] == "connected"
    assert not end.killed
    assert Counts(yes=1) == server.counts("simpleFlag")
