"""A function without a deadline: called once for all, left behind in time."""

from __future__ import annotations

import threading
import time

import pytest

from serverless_flags import _passing as passing_module
from serverless_flags._transport.shared_call import SharedCall


class PassingError(Exception):
    """An exception of a framework."""


def soon() -> float:
    return time.monotonic() + 20


@pytest.fixture(name="no_thread")
def _no_thread(monkeypatch):
    """Let no thread start, as at an interpreter's exit."""

    def refuse(*_args):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("_thread.start_new_thread", refuse)


def test_callers_at_once_share_one_call() -> None:
    """A caller that comes while it runs waits for the same one."""
    calls, goes_on = [], threading.Event()

    def function():
        calls.append(True)
        goes_on.wait(20)

    shared = SharedCall(function)
    assert shared.wait(time.monotonic()) is None
    assert shared.wait(time.monotonic()) is None
    goes_on.set()
    call = shared.wait(soon())

    assert call is not None
    assert call.error is None
    assert 1 == len(calls)


def test_the_next_caller_calls_again() -> None:
    """Nothing is remembered of a call that is over."""
    calls = []
    shared = SharedCall(lambda: calls.append(True))
    shared.wait(soon())
    shared.wait(soon())

    assert 2 == len(calls)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_whatever_is_raised_is_the_callers_to_read(error) -> None:
    """No thread of ours dies of it."""

    def function():
        raise error

    call = SharedCall(function).wait(soon())

    assert call is not None
    assert isinstance(call.error, error)


def test_where_no_call_may_start_none_does() -> None:
    """One that is under way is waited for all the same."""
    calls, goes_on = [], threading.Event()

    def function():
        goes_on.wait(20)
        calls.append(True)

    shared = SharedCall(function)
    assert shared.wait(soon(), may_start=False) is None
    assert shared.wait(time.monotonic()) is None
    goes_on.set()

    assert shared.wait(soon(), may_start=False) is not None
    assert 1 == len(calls)


def test_it_runs_here_unless_it_is_under_way() -> None:
    """A thread that may wait without a deadline calls it itself, and never twice."""
    calls = []

    def function():
        calls.append(threading.get_ident())
        shared.run_here()

    shared = SharedCall(function)
    shared.run_here()

    assert [threading.get_ident()] == calls


def test_where_no_thread_can_start_the_caller_runs_it(no_thread) -> None:
    """And reads what it raised."""

    def function():
        raise ValueError

    call = SharedCall(function).wait(soon())

    assert call is not None
    assert isinstance(call.error, ValueError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, PassingError])
def test_an_exception_of_others_passes_on_the_callers_thread(
    no_thread, monkeypatch, error
) -> None:
    """There it may have come from outside."""
    monkeypatch.setattr(
        passing_module, "_names", frozenset({f"{__name__}.PassingError"})
    )

    def function():
        raise error

    with pytest.raises(error):
        SharedCall(function).wait(soon())
