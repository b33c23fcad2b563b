"""
Limits that interrupt an invocation, as runtimes and decorators have them.

Each is put around a wrapped function and reads its seconds from the request.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import json
import re
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from ledger import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

CUT = json.dumps({"variant": None})
"""The answer to who asked for an invocation that was cut."""


class Overtime(Exception):  # noqa: N818  reason: a limit, not an error
    """The exception that a limit raises; the session does not know its class."""


def by_alarm(seconds: float, call: Callable[[], Any], cut: Any) -> Any:
    """Raise in a signal handler; on the main thread only."""
    armed = [True]
    rang = []

    def ring(_signum: int, frame: FrameType | None) -> None:
        if armed:
            armed.clear()
            rang.append(_is_in_session(frame))
            raise Overtime

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            result = call()
        finally:
            armed.clear()
    except Overtime:
        note("cut")
        return cut
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    if rang:
        note("swallowed", wrong=rang[0])
        return cut
    return result


def _is_in_session(frame: FrameType | None) -> bool:
    """
    Whether the session itself runs or waits.

    Inside a guarded call of an engine, a plugin or a callback, an exception that the
    platform does not name counts as the failure of what was called.
    """
    while frame is not None and _module(frame) in {"ledger", "threading"}:
        frame = frame.f_back
    if frame is None or _module(frame).partition(".")[0] != "serverless_flags":
        return False
    while frame is not None and not _is_guarded(frame):
        frame = frame.f_back
    return frame is None


def _is_guarded(frame: FrameType) -> bool:
    if frame.f_code.co_name in _GUARDS:
        return _module(frame).startswith("serverless_flags.")
    return bool(_CALLED.match(_module(frame)))


_GUARDS = frozenset({"_call_guarded", "_remaining"})
"""Functions of the session that call a callback of the user or the platform."""
_CALLED = re.compile(
    r"serverless_flags\.(clients|_plugins)\b|serverless_flags_(?!.*\._emulator)"
)
"""Modules of engines, of hook calls and of adapters."""


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def by_framework(seconds: float, call: Callable[[], Any], cut: Any) -> Any:
    """Raise as functions-framework does: with its own limit and exception."""
    from functions_framework.exceptions import RequestTimeoutException
    from functions_framework.request_timeout import ThreadingTimeout

    class Limit(ThreadingTimeout):
        fired = False

        def _raise_exc(self) -> None:
            _wait_for_new_thread(self.target_tid)
            self.fired = True
            super()._raise_exc()

    return _limited(Limit(seconds), RequestTimeoutException, call, cut)


def by_thread(seconds: float, call: Callable[[], Any], cut: Any) -> Any:
    """Raise an exception in the thread, as task queues do."""
    return _limited(_ThreadLimit(seconds), Overtime, call, cut)


class _ThreadLimit:
    """The same limit, for a runtime that has none."""

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self.timer = threading.Timer(seconds, self._raise)
        self._thread = threading.get_ident()

    def _raise(self) -> None:
        _wait_for_new_thread(self._thread)
        self.fired = True
        thread, error = ctypes.c_ulong(self._thread), ctypes.py_object(Overtime)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, error)

    def __enter__(self) -> None:
        self.timer.start()

    def __exit__(self, *exc_info: object) -> None:
        self.timer.cancel()


def _wait_for_new_thread(thread: int) -> None:
    """
    Wait until a thread is not about to start another one.

    For a moment both have the same identifier. CPython raises the exception in the new
    thread, which ends, and ``Thread.start`` waits for it for ever. The calling thread
    cannot prevent that.
    """
    while (
        frame := sys._current_frames().get(thread)
    ) is not None and frame.f_code is threading.Thread.start.__code__:
        time.sleep(0.0005)


def _limited(
    limit: Any, error: type[Exception], call: Callable[[], Any], cut: Any
) -> Any:
    try:
        with limit:
            result = call()
        limit.timer.join()
        time.sleep(0)  # what was raised late arrives here
    except error:
        note("cut")
        return cut
    if limit.fired:  # it may have been raised in an engine
        note("swallowed", wrong=False)
        return cut
    return result


async def by_cancellation(
    seconds: float, call: Callable[[], Awaitable[Any]], cut: Any
) -> Any:
    """Cancel the task of the invocation."""
    task = asyncio.ensure_future(call())
    cancelled = []
    loop = asyncio.get_running_loop()
    timer = loop.call_later(seconds, lambda: cancelled.append(task.cancel()))
    try:
        result = await task
    except asyncio.CancelledError:
        note("cut")
        return cut
    finally:
        timer.cancel()
    if any(cancelled):
        note("swallowed", wrong=True)
        return cut
    return result


def cuttable(
    limit: Callable[..., Any], seconds: Callable[..., str | None], cut: Any = CUT
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Put a limit around a wrapped function, for requests that ask for it.

    Args:
        limit: one of the functions above.
        seconds: reads the seconds from the function's arguments.
        cut: the result of the function when it was cut.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            asked = seconds(*args, **kwargs)
            if asked is None:
                return function(*args, **kwargs)
            return limit(float(asked), lambda: function(*args, **kwargs), cut)

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await call(*args, **kwargs)

        return call_async if asyncio.iscoroutinefunction(function) else call

    return decorate
