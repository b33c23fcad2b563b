"""Threads that a signal handler can start and wait for, whatever it has interrupted.

``threading.Thread`` takes locks that the interrupted thread may hold.
"""

from __future__ import annotations

import _thread
import time
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Work = tuple[Callable[[float], object], float]
    """A function, and the seconds that it is given."""


def are_green() -> bool:
    """
    Whether greenlets stand in the place of threads: gevent's or eventlet's.

    A signal handler may run in the greenlet of their event loop. It can start others
    there, but not wait for them.
    """
    return not isinstance(_thread.start_new_thread, BuiltinFunctionType)


def run_side_by_side(works: Sequence[Work], deadline: float) -> list[BaseException]:
    """
    Run each function on a thread of its own and wait for all until ``deadline``.

    Where no thread can be started, as at the interpreter's exit since Python 3.12,
    they run on this one, one after the other. One that raises never stops the next.

    Args:
        works: functions with the seconds that each is given.
        deadline: on the monotonic clock.

    Returns:
        What has been raised until then.
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
    """Run ``work`` on a thread; the lock is free when it has ended."""
    function, seconds = work
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            function(seconds)
        except BaseException as error:  # noqa: BLE001  reason: the thread is ours: nobody else can raise here, and nobody else would log it
            failures.append(error)
        finally:
            ended.release()

    _thread.start_new_thread(run, ())
    return ended


def _run_here(
    works: Sequence[Work], deadline: float, failures: list[BaseException]
) -> None:
    """Run all on this thread; an exception for this thread passes after the last."""
    if not works:
        return
    (function, seconds), *rest = works
    try:
        function(min(seconds, max(0.0, deadline - time.monotonic())))
    except Exception as error:  # noqa: BLE001  reason: one that fails must not stop the next; the caller logs it
        failures.append(error)
    finally:
        _run_here(rest, deadline, failures)
