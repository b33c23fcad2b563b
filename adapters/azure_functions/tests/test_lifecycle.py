"""The life of a worker: SIGTERM and its handlers, threads, a flag server in the way."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing import Counts
from serverless_flags.testing.faults import Fault, FaultyFlagServer

PATIENCE = 10.0
"""Seconds after which a test fails instead of hanging."""

SLOW = {
    "start": {},
    "refresh": {
        "SERVERLESS_FLAGS_MAX_AGE": "0",
        "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
    },
    "flush": {"SERVERLESS_FLAGS_FLUSH_INTERVAL": "0"},
}
"""The settings that make an invocation wait for each of these requests."""


@pytest.mark.parametrize("what", SLOW)
def test_a_slow_flag_server_delays_no_other_function(start, what):
    """While functions wait for the flag server, others are answered."""
    with FaultyFlagServer({"simpleFlag": True}) as server, ThreadPoolExecutor() as pool:
        instance = start("flagged.py:hello", {**server.environ, **SLOW[what]})
        if what != "start":
            instance.request()
        server.fault = Fault.UNANSWERED
        paths = ["/api/hello", "/api/hello_async"]
        waiting = [pool.submit(instance.request, path) for path in paths]
        held = server.wait_for_held(1, PATIENCE)

        others = ["/api/unwrapped_async", "/api/unwrapped"]
        answers = [instance.request(path).body for path in others]
        # One flush may have taken the counts of both; then only one waits for it.
        waited = not all(request.done() for request in waiting)
        server.fault = Fault.NONE
        server.release()

        assert ["here"] * 2 == answers
        assert held
        assert waited
        assert {"True"} == {request.result(PATIENCE).body for request in waiting}


@pytest.mark.parametrize("path", ["hello", "hello_async"])
def test_off_the_main_thread_each_invocation_flushes(start, flag_server, path):
    """Off the main thread each invocation flushes, and the status says why."""
    environ = flag_server.environ
    instance = start(f"flagged.py:{path}", environ, main_thread="false")

    answer = instance.request().body
    status = instance.request("/api/status").json()
    end = instance.terminate()

    assert (answer, end.code) == ("True", -signal.SIGTERM)
    assert status["end"].startswith("not connected: ")
    assert "main thread" in status["end"]
    assert flag_server.counts("simpleFlag").total == 1


def test_a_coroutine_on_the_main_thread_connects_late(start, flag_server):
    """The first invocation on the loop connects what the import could not."""
    instance = start("off_main_thread.py:hello_async", flag_server.environ)
    instance.request()
    status = instance.request("/api/status").json()
    instance.terminate()

    assert status["end"] == "connected"
    assert flag_server.counts("simpleFlag").total == 1


def test_a_signal_on_another_thread_is_handled(start, flag_server):
    """SIGTERM on another thread wakes the event loop, which handles it."""
    instance = start("flagged.py:interrupt", flag_server.environ)

    with pytest.raises(EmulatorError, match="does not answer"):
        instance.request()

    assert instance.process.wait(PATIENCE) == -signal.SIGTERM
    assert "SIGTERM was not handled" not in instance.output
    assert flag_server.counts("simpleFlag").total == 1


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        ("leaves", 7),
        ("leaves, installed later", 7),
        ("leaves from the loop", 7),
        ("chains, installed later", -signal.SIGTERM),
    ],
)
def test_a_handler_of_the_application_runs(start, flag_server, handler, code):
    """Your own handler decides how the worker ends; the counts are always sent."""
    instance = start("handled.py:hello", {**flag_server.environ, "HANDLER": handler})
    instance.request()

    end = instance.terminate()

    assert code == end.code
    assert flag_server.counts("simpleFlag").total == 1
    assert "the handler ran" in instance.output


def test_a_worker_that_stays_flushes_each_answer(start, flag_server):
    """If your handler does not exit, each later invocation flushes."""
    instance = start("handled.py:hello", {**flag_server.environ, "HANDLER": "stays"})
    instance.request()

    instance.process.send_signal(signal.SIGTERM)
    at_sigterm = flag_server.wait_for_counts("simpleFlag", 1, PATIENCE)
    answer = instance.request()
    instance.kill()

    assert at_sigterm == Counts(yes=1)
    assert answer.body == "True"
    assert flag_server.counts("simpleFlag") == Counts(yes=2)


def test_an_invocation_that_is_drained_is_counted(start, flag_server, tmp_path):
    """``sys.exit`` waits for functions in the pool, and their counts are sent."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    environ = {**flag_server.environ, "HANDLER": "leaves"}
    instance = start("handled.py:hello", environ)
    instance.request()
    with ThreadPoolExecutor(2) as threads:
        in_flight = threads.submit(instance.request, f"/?gate={gate}")
        with gate.open("w"):  # opens when the function has opened its end
            ended = threads.submit(instance.terminate)
            at_sigterm = flag_server.wait_for_counts("simpleFlag", 1, PATIENCE)
        in_flight.exception()  # the worker has exited without answering it

    assert at_sigterm == Counts(yes=1)
    assert (ended.result().code, ended.result().killed) == (7, False)
    assert flag_server.counts("simpleFlag") == Counts(yes=2)


def test_without_a_handler_an_invocation_in_flight_is_cut(start, flag_server, tmp_path):
    """Without a handler SIGTERM ends the worker after the flush."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    instance = start("handled.py:hello", {**flag_server.environ, "HANDLER": "none"})
    instance.request()
    with ThreadPoolExecutor(1) as threads:
        in_flight = threads.submit(instance.request, f"/?gate={gate}")
        with gate.open("w"):
            end = instance.terminate()
        failure = in_flight.exception()

    assert isinstance(failure, EmulatorError)
    assert (end.code, end.killed) == (-signal.SIGTERM, False)
    assert flag_server.counts("simpleFlag") == Counts(yes=1)


@pytest.mark.parametrize(("interval", "counted"), [("60", 0), ("0", 2)])
def test_a_kill_costs_what_was_not_flushed(start, flag_server, interval, counted):
    """SIGKILL loses the counts since the last flush; ``flush_interval`` bounds them."""
    environ = {"SERVERLESS_FLAGS_FLUSH_INTERVAL": interval, **flag_server.environ}
    instance = start("flagged.py:hello", environ)

    answers = [instance.request().body for _ in range(2)]
    instance.kill()

    assert answers == ["True"] * 2
    assert counted == flag_server.counts("simpleFlag").total
