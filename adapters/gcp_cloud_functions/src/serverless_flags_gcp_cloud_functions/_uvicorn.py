"""Hear the end of a uvicorn server: it dies of its signal, so ``atexit`` never runs.

``uvicorn.Server.capture_signals`` puts the default action back and raises the signal
again (uvicorn/server.py, since 0.29). Its ``shutdown`` runs before that, after the
requests in flight have ended, whatever thread the function runs on.
"""

from __future__ import annotations

import inspect
import signal
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from serverless_flags import FlagSession

_lock = threading.Lock()
_shutdown: weakref.ref[_Shutdown] | None = None


def connect_shutdown(session: FlagSession, *, grace: float) -> bool:
    """
    Close ``session`` when the uvicorn server of this process has shut down.

    Args:
        session: held weakly.
        grace: seconds that its last flush may take.

    Returns:
        False when no such server can be found.
    """
    with _lock:
        shutdown = (_shutdown and _shutdown()) or _wrap_shutdown()
    if shutdown is None:
        return False
    shutdown.graces[session] = grace
    return True


def _wrap_shutdown() -> _Shutdown | None:
    """Find the server by its signal handler, which is one of its methods."""
    global _shutdown  # noqa: PLW0603  reason: one server in a process
    server: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not inspect.iscoroutinefunction(getattr(server, "shutdown", None)):
        return None
    wrapped = server.shutdown = _Shutdown(server.shutdown)
    _shutdown = weakref.ref(wrapped)
    return wrapped


class _Shutdown:
    """A server's ``shutdown``, followed by the last flush of the sessions."""

    def __init__(self, shutdown: Callable[..., Awaitable[None]]) -> None:
        self.shutdown = shutdown
        self.graces: weakref.WeakKeyDictionary[FlagSession, float] = (
            weakref.WeakKeyDictionary()
        )

    async def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:
            await self.shutdown(*args, **kwargs)
        finally:
            await self._close()

    async def _close(self) -> None:
        """Await ``close`` on a thread: the loop's executor may be full or shut down."""
        import asyncio

        loop = asyncio.get_running_loop()
        closed = asyncio.Event()
        graces = list(self.graces.items())
        deadline = time.monotonic() + max((grace for _, grace in graces), default=0.0)

        def close() -> None:
            try:
                for session, _ in graces:
                    session.close(max(0.0, deadline - time.monotonic()))
            finally:
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="serverless-flags-close").start()
        await closed.wait()
