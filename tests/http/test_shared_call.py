"""A function without a deadline: called once for all callers, who wait in time."""

from __future__ import annotations

import threading
import time

import pytest

from serverless_flags import _passing as passing_module
from serverless_flags._transport.shared_call import SharedCall


class PassingError(Exception):
    """Stands for an exception of a framework."""


def soon() -> float:
    return time.monotonic() + 20


@pytest.fixture(name="no_thread")
def _no_thread(monkeypatch):
    """Let no thread start, as at interpreter exit."""

    def refuse(*_args):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("_thread.start_new_thread", refuse)


def test_concurrent_callers_share_one_call() -> None:
    """A caller that comes during a call waits for the same call."""
    calls, proceed = [], threading.Event()

    def function():
        calls.append(True)
        proceed.wait(20)

    shared = SharedCall(function)
    assert shared.wait(time.monotonic()) is None
    assert shared.wait(time.monotonic()) is None
    proceed.set()
    call = shared.wait(soon())

    assert call is not None
    assert call.error is None
    assert 1 == len(calls)


def test_later_callers_call_again() -> None:
    """No result is remembered."""
    calls = []
    shared = SharedCall(lambda: calls.append(True))
    shared.wait(soon())
    shared.wait(soon())

    assert 2 == len(calls)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_exception_is_in_the_result(error) -> None:
    """It does not end a thread with a traceback."""

    def function():
        raise error

    call = SharedCall(function).wait(soon())

    assert call is not None
    assert isinstance(call.error, error)


def test_no_call_is_started_where_none_may() -> None:
    """A call in progress is still waited for."""
    calls, proceed = [], threading.Event()

    def function():
        proceed.wait(20)
        calls.append(True)

    shared = SharedCall(function)
    assert shared.wait(soon(), may_start=False) is None
    assert shared.wait(time.monotonic()) is None
    proceed.set()

    assert shared.wait(soon(), may_start=False) is not None
    assert 1 == len(calls)


def test_run_here_calls_on_this_thread() -> None:
    """Unless a call is in progress, which is not repeated."""
    calls = []

    def function():
        calls.append(threading.get_ident())
        shared.run_here()

    shared = SharedCall(function)
    shared.run_here()

    assert [threading.get_ident()] == calls


def test_without_threads_the_caller_runs_it(no_thread) -> None:
    """The exception it raised is in the result."""

    def function():
        raise ValueError

    call = SharedCall(function).wait(soon())

    assert call is not None
    assert isinstance(call.error, ValueError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, PassingError])
def test_a_runtimes_exception_propagates_to_the_caller(
    no_thread, monkeypatch, error
) -> None:
    """On the caller's thread it may have come from the runtime."""
    monkeypatch.setattr(
        passing_module, "_names", frozenset({f"{__name__}.PassingError"})
    )

    def function():
        raise error

    with pytest.raises(error):
        SharedCall(function).wait(soon())
