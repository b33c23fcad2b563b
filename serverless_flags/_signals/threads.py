"""
Threads that a signal handler can start and wait for, whatever it has interrupted.

``threading.Thread`` acquires locks that the interrupted thread may hold.
"""

from __future__ import annotations

import _thread
import time
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Work = tuple[Callable[[float], object], float]
    """A function, and the seconds that it may take, which are its argument."""


def threads_are_greenlets() -> bool:
    """
    Whether gevent or eventlet has replaced threads with greenlets.

    A signal handler may run in the greenlet of their event loop, where it can start
    other greenlets but not wait for them.
    """
    return not isinstance(_thread.start_new_thread, BuiltinFunctionType)


def run_in_parallel(works: Sequence[Work], deadline: float) -> list[BaseException]:
    """
    Run each function on its own thread and wait for all until ``deadline``.

    Where no thread can be started, as during the interpreter's exit since Python 3.12,
    they run on this thread, one after the other. An exception never stops the next.

    Args:
        works: functions with the seconds that each may take.
        deadline: on the monotonic clock.

    Returns:
        The exceptions raised until then.
    """
    failures: list[BaseException] = []
    ended = []
    for index, work in enumerate(works):
        try:
            ended.append(_start(work, failures))
        except RuntimeError:
            _run_here(works[index:], deadline, failures)
            break
    for lock in ended:
        lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
    return list(failures)


def _start(work: Work, failures: list[BaseException]) -> _thread.LockType:
    """Run ``work`` on a thread; return a lock that is released when it has ended."""
    function, seconds = work
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            function(seconds)
        except BaseException as error:  # noqa: BLE001  reason: nothing is above this thread; the caller logs the exception
            failures.append(error)
        finally:
            ended.release()

    _thread.start_new_thread(run, ())
    return ended


def _run_here(
    works: Sequence[Work], deadline: float, failures: list[BaseException]
) -> None:
    """Run all on this thread; a `BaseException` propagates after the last."""
    if not works:
        return
    (function, seconds), *rest = works
    try:
        function(min(seconds, max(0.0, deadline - time.monotonic())))
    except Exception as error:  # noqa: BLE001  reason: a failure must not stop the next function; the caller logs it
        failures.append(error)
    finally:
        _run_here(rest, deadline, failures)
