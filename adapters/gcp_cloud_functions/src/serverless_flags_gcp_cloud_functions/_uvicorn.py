"""Hear the ends of a uvicorn server: it dies of a signal, so ``atexit`` never runs.

``uvicorn.Server.capture_signals`` puts the default action back and raises the signal
again (uvicorn/server.py, since 0.29). Its ``shutdown`` runs before that, after the
requests in flight have ended, whatever thread the function runs on.
"""

from __future__ import annotations

import inspect
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from serverless_flags import signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

_lock = threading.Lock()


def connect_shutdown() -> bool:
    """
    Close every session when the uvicorn server of this process has shut down.

    Returns:
        False when no such server can be found: in a process that a function has forked
        there is a copy, which serves nothing.
    """
    with _lock:
        # The server's signal handler is one of its methods; from a pool thread too.
        server: Any = getattr(signals.previous_handler(), "__self__", None)
        shutdown = getattr(server, "shutdown", None)
        if isinstance(shutdown, _Shutdown):
            return shutdown.pid == os.getpid()
        if not inspect.iscoroutinefunction(shutdown):
            return False
        server.shutdown = _Shutdown(shutdown)
        return True


class _Shutdown:
    """A server's ``shutdown``, followed by the last flush of the sessions."""

    def __init__(self, shutdown: Callable[..., Awaitable[None]]) -> None:
        self._shutdown = shutdown
        self.pid = os.getpid()

    async def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:
            await self._shutdown(*args, **kwargs)
        finally:
            await _close()


async def _close() -> None:
    """Await the close on a thread: the loop's executor may be full or shut down."""
    import asyncio

    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def close() -> None:
        try:
            signals.close()
        finally:
            loop.call_soon_threadsafe(closed.set)

    try:
        threading.Thread(target=close, name="serverless-flags-close").start()
    except RuntimeError:  # no thread to be had: late, but not lost
        close()
    await closed.wait()


def connect_abort() -> None:
    """
    Flush when gunicorn's master aborts this worker; does nothing off the main thread.

    It sends SIGABRT to a worker whose heart has not beaten for the request's timeout,
    and SIGKILL a second later (arbiter.py, ``murder_workers``). gunicorn's own workers
    exit in order then, uvicorn's has no handler (uvicorn_worker, ``init_signals``).
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if on_main_thread and signal.getsignal(signal.SIGABRT) == signal.SIG_DFL:
        signal.signal(signal.SIGABRT, _close_and_abort)


def _close_and_abort(signum: int, _frame: FrameType | None) -> None:
    try:
        signals.close()
    finally:
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
