"""Run ``async def`` handlers on one event loop per thread, where no runtime does."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

from serverless_flags._log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 1.0
"""Seconds that an interrupted coroutine may take to end after its cancellation."""


class _ThreadLoop:
    """An event loop that stays open until its thread ends: clients are bound to it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._pid = os.getpid()

    def __del__(self) -> None:
        if os.getpid() != self._pid:
            _inherited.append(self.loop)
        else:
            self.loop.close()


_threads = threading.local()
_inherited: list[object] = []
"""Event loops of the parent process, which a forked child must not close: that would
unregister their descriptors from the selector that the parent still uses."""


def runs_here() -> bool:
    """Whether an event loop is running on this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Run the awaitable that ``func`` returns on this thread's event loop."""
    awaitable: Any = None
    task: asyncio.Future[Any] | None = None
    try:
        awaitable = func(*args, **kwargs)
        if type(awaitable) is types.CoroutineType:
            loop = _loop_of_thread()
            task = loop.create_task(awaitable)
        else:
            task = _task_of(awaitable)
            loop = task.get_loop()
        return loop.run_until_complete(task)
    except BaseException:
        if task is None:
            _close(awaitable)
        else:
            _cancel(task)
        raise


def _close(awaitable: Any) -> None:
    """Close a coroutine that was not begun: it would warn that it was never awaited."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()


def _cancel(task: asyncio.Future[Any]) -> None:
    """Cancel a task that an exception has interrupted, as ``asyncio.run`` does."""
    loop = task.get_loop()
    if not (task.done() or loop.is_closed() or loop.is_running()):
        task.cancel()
        loop.run_until_complete(asyncio.wait({task}, timeout=GRACE))
        if not task.done():
            logger.warning(
                "an interrupted async function has not ended %s s after its"
                " cancellation: it continues during the next call on this thread",
                GRACE,
            )
    if task.done() and not task.cancelled():
        task.exception()  # else asyncio reports that it was never retrieved


def _task_of(awaitable: Any) -> asyncio.Future[Any]:
    """Return a task that awaits ``awaitable``; a future stays on its own loop."""
    if asyncio.isfuture(awaitable):
        return awaitable
    task: asyncio.Future[Any]
    task = asyncio.ensure_future(awaitable, loop=_loop_of_thread())
    return task


def _loop_of_thread() -> asyncio.AbstractEventLoop:
    """Return the event loop that is set on this thread, else one of this module's."""
    loop = _loop_set_here()
    if loop is None or loop.is_closed() or loop.is_running() or loop in _inherited:
        return _own_loop()
    return loop


def _own_loop() -> asyncio.AbstractEventLoop:
    own: _ThreadLoop | None = getattr(_threads, "own", None)
    if own is None or own.loop.is_closed():
        own = _threads.own = _ThreadLoop()
    return own.loop


def _loop_set_here() -> asyncio.AbstractEventLoop | None:
    """Return the loop that ``asyncio.set_event_loop`` has set here; create none."""
    if sys.version_info >= (3, 14):
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            return None
    # Until 3.13 `get_event_loop` may create a loop, or warn. Reading the policy's
    # private attribute does neither, and these versions no longer change it; a policy
    # without it has set no loop.
    local = getattr(asyncio.get_event_loop_policy(), "_local", None)
    return getattr(local, "_loop", None)


def _set_aside_inherited_loops() -> None:
    """Stop using the parent's loops, in a forked child."""
    _threads.own = None
    loop = _loop_set_here()
    if loop is not None:
        _inherited.append(loop)


if hasattr(os, "register_at_fork"):  # pragma: no branch  reason: not on Windows
    os.register_at_fork(after_in_child=_set_aside_inherited_loops)
