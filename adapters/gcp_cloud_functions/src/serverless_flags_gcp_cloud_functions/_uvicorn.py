"""
Close the sessions when a uvicorn server shuts down: it ends without ``atexit``.

``uvicorn.Server.capture_signals`` restores the default action and raises the signal
again (uvicorn/server.py, since 0.29). Its ``shutdown`` runs before that, after the
requests in flight have ended, and independently of the function's thread.
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
        False if there is no such server; in a process that a function has forked there
        is a copy of one, which serves nothing.
    """
    with _lock:
        # The server's signal handler is one of its methods.
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
    """Close the sessions on a new thread: the loop's executor may be full or closed."""
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
    except RuntimeError:  # no thread can be started: block the loop
        close()
    await closed.wait()


def connect_abort() -> None:
    """
    Flush when gunicorn's master aborts this worker; call it on the main thread.

    The master sends SIGABRT to a worker without a heartbeat for the request timeout,
    and SIGKILL a second later (arbiter.py, ``murder_workers``). gunicorn's own workers
    exit normally then; uvicorn's has no handler (uvicorn_worker, ``init_signals``).
    Off the main thread, or if there is a handler, the call does nothing.
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
