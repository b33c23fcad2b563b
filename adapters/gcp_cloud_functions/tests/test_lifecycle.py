"""The session during an instance's life, under every server."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import EmulatorError
from serverless_flags.testing import Counts

TIMEOUT = {"CLOUD_RUN_TIMEOUT_SECONDS": "2"}


def _fetches(server):
    return [r for r in server.requests if r.path.endswith("/client/features")]


@pytest.mark.parametrize("target", ["http", "aio_def_http"])
def test_many_first_requests_start_one_client(start_flagged, server, target):
    """Concurrent first requests of a worker share one start."""
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
    """A worker that is killed loses its own counts only; its successor starts anew."""
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
    """Repeat requests until ``number`` are answered: a killed worker drops some."""

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
    """gunicorn aborts a worker past the request timeout; the counts are sent."""
    instance = start_flagged(target, environ=TIMEOUT, **options)

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
    """After a RequestTimeoutException, worker and session continue."""
    environ = {**TIMEOUT, "THREADED_TIMEOUT_ENABLED": "true"}
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
    """All sessions of a process are flushed."""
    instance = start_flagged(target)
    instance.request()
    instance.terminate()

    assert Counts(yes=1) == server.counts("simpleFlag")
    assert Counts(yes=1) == server.counts("otherFlag")


def test_the_first_generation_flushes_every_invocation(start_flagged, server):
    """Without SIGTERM each invocation flushes, and the status says why."""
    instance = start_flagged("http", environ={"K_CONFIGURATION": ""})

    answer = instance.request().json()
    instance.kill()

    assert answer["flush_interval"] == 0
    assert answer["termination"].startswith("not connected: the 1st generation")
    assert server.counts("simpleFlag") == Counts(yes=1)


def test_the_reloaders_child_flushes_every_invocation(start_flagged, server):
    """Under ``--debug``, whose reloader kills the server, each invocation flushes."""
    instance = start_flagged("http", server="debug")

    answer = instance.request().json()
    end = instance.terminate()

    assert answer["pid"] != instance.process.pid
    assert "(werkzeug)" in instance.runtime
    assert answer["flush_interval"] == 0
    assert answer["termination"].startswith("not connected: the reloader")
    assert not end.killed
    assert server.counts("simpleFlag") == Counts(yes=1)
