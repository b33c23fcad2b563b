"""From the first request to the last but one: the session under every server."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import EmulatorError
from serverless_flags.testing import Counts

ONE_SECOND_TIMEOUT = {"CLOUD_RUN_TIMEOUT_SECONDS": "1"}


def _fetches(server):
    return [r for r in server.requests if r.path.endswith("/client/features")]


@pytest.mark.parametrize("target", ["http", "aio_def_http"])
def test_many_first_requests_start_one_client(start_flagged, server, target):
    """Start is single-flight per worker, for as many threads as the server has."""
    instance = start_flagged(target, environ={"THREADS": "50"})

    assert server.requests == []

    with ThreadPoolExecutor(50) as callers:
        answers = list(callers.map(lambda _: instance.request().json(), range(50)))
    instance.terminate()

    assert [answer["enabled"] for answer in answers] == [True] * 50
    assert 1 == len({answer["pid"] for answer in answers}) == len(_fetches(server))
    assert Counts(yes=50) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http", "aio_http"])
def test_every_worker_has_its_own_session(start_flagged, server, target):
    """One of two is killed and forked again: it starts anew, and takes only its own."""
    instance = start_flagged(target, workers="2")

    answers = _ask_at_once(instance, 40)
    victim = answers[0]["pid"]
    os.kill(victim, signal.SIGKILL)
    lost = Counter(answer["pid"] for answer in answers)[victim]
    answers += _ask_at_once(instance, 40)
    instance.terminate()

    pids = {answer["pid"] for answer in answers}
    assert victim not in {answer["pid"] for answer in answers[40:]}
    assert len(pids) == len(_fetches(server))
    assert Counts(yes=80 - lost) == server.counts("simpleFlag")


def _ask_at_once(instance, number):
    """Ask until so many requests were answered: a killed worker drops what it has."""

    def ask(_):
        while True:
            try:
                return instance.request().json()
            except EmulatorError:
                assert instance.process.poll() is None

    with ThreadPoolExecutor(8) as callers:
        return list(callers.map(ask, range(number)))


@pytest.mark.parametrize(
    ("target", "options"), [("http", {"server": "sync"}), ("aio_http", {})]
)
def test_a_worker_that_is_aborted_flushes(start_flagged, server, target, options):
    """A request past the timeout ends its worker: SystemExit inside the function."""
    instance = start_flagged(target, environ=ONE_SECOND_TIMEOUT, **options)

    first = instance.request().json()["pid"]
    with contextlib.suppress(EmulatorError):  # gunicorn's own worker answers 500
        instance.request("/?stay=1")
    second = instance.request().json()["pid"]

    assert Counts(yes=2) == server.counts("simpleFlag")
    assert first != second
    assert len(_fetches(server)) == 2

    instance.terminate()

    assert Counts(yes=3) == server.counts("simpleFlag")


def test_a_request_that_times_out_costs_nothing_else(start_flagged, server):
    """RequestTimeoutException is the function's own; its worker and session live on."""
    environ = {**ONE_SECOND_TIMEOUT, "THREADED_TIMEOUT_ENABLED": "true"}
    instance = start_flagged("http", environ=environ)

    before = instance.request().json()["pid"]
    answer = instance.request("/?stay=1")
    after = instance.request().json()["pid"]
    instance.terminate()

    assert (answer.status, before) == (500, after)
    assert "RequestTimeoutException" in instance.output
    assert Counts(yes=3) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http_two_sessions", "aio_http_two_sessions"])
def test_two_sessions_are_both_flushed(start_flagged, server, target):
    """One process may hold several sessions."""
    instance = start_flagged(target)
    instance.request()
    instance.terminate()

    assert Counts(yes=1) == server.counts("simpleFlag")
    assert Counts(yes=1) == server.counts("otherFlag")


@pytest.mark.parametrize(
    ("environ", "options", "why"),
    [
        pytest.param(
            {"K_CONFIGURATION": ""}, {}, "1st generation", id="1st-generation"
        ),
        pytest.param({}, {"server": "debug"}, "reloader", id="reloader"),
    ],
)
def test_without_a_signal_every_invocation_flushes(
    start_flagged, server, environ, options, why
):
    """The status says why; a kill costs nothing then."""
    instance = start_flagged("http", environ=environ, **options)

    answer = instance.request().json()
    instance.kill()

    assert answer["flush_interval"] == 0
    assert answer["termination"].startswith("not connected: ")
    assert why in answer["termination"]
    assert server.wait_for_counts("simpleFlag", 1, 0) == Counts(yes=1)
