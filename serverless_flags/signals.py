"""
Flush sessions when this process ends; for adapters.

However the process ends, each connected session flushes once, all of them in parallel
and within the longest of their graces. Then the process ends as it would have without
this package.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from serverless_flags._signals.handler import SIGTERM, current_handler
from serverless_flags._signals.hub import CHILD_GRACE, SignalHub

if TYPE_CHECKING:
    from serverless_flags.types import Terminable

__all__ = [
    "close",
    "connect_exit",
    "connect_sigterm",
    "is_connected",
    "previous_handler",
    "rearm",
    "repair",
    "terminate",
    "watch_sigterm",
]

_hub = SignalHub()
_hooked = False


def _hook_process() -> None:
    """Register functions for exit and fork; doing so twice, in a race, is harmless."""
    global _hooked  # noqa: PLW0603  reason: atexit and fork hooks cannot be undone
    if _hooked:
        return
    atexit.register(_close_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
    _hooked = True


def _close_at_exit() -> None:
    _hub.close_at_exit()


def _after_fork() -> None:
    global _hub
    inherited, _hub = _hub, SignalHub()
    inherited.forget()


def connect_exit(session: Terminable, *, grace: float) -> None:
    """
    Close ``session`` when the interpreter exits normally, through ``atexit``.

    Args:
        session: the session to close; only a weak reference to it is kept.
        grace: seconds that its last flush may take.
    """
    _hook_process()
    _hub.add(session, grace)


def connect_sigterm(session: Terminable, *, grace: float) -> bool:
    """
    Flush ``session`` at SIGTERM, and close it at the interpreter's exit.

    After the flush the handler that was installed before is called; where there was
    none, the signal ends the process. Use it where the main thread runs Python code.

    Args:
        session: the session to flush; only a weak reference to it is kept.
        grace: seconds that its last flush may take.

    Returns:
        Whether SIGTERM is connected. False off the main thread, where Python installs
        no handlers, and where the current handler was not installed from Python and so
        could not be called afterwards.
    """
    connect_exit(session, grace=grace)
    return _hub.install()


def watch_sigterm(session: Terminable, *, grace: float) -> bool:
    """
    Flush ``session`` at SIGTERM even while the main thread is blocked in C code.

    There a Python handler cannot run, as when awslambdaric blocks in ``next()``. So a
    watcher thread is woken through ``signal.set_wakeup_fd``, flushes and, when no other
    handler takes SIGTERM, ends the process.

    Args:
        session: the session to flush; only a weak reference to it is kept.
        grace: seconds that its last flush may take.

    Returns:
        Whether SIGTERM is connected, as `connect_sigterm` returns it.
    """
    connect_exit(session, grace=grace)
    if not _hub.install():
        return False
    _hub.watch()
    return True


def repair() -> bool:
    """
    Install the SIGTERM handler, and the watcher's wakeup fd, again if they are gone.

    An event loop that has handled SIGTERM leaves the default action behind, and another
    handler may not call the one before. Each session calls this at the end of each
    invocation, on the invocation's thread; only the main thread can install anything.

    Returns:
        False when SIGTERM was connected and no longer reaches the sessions, else True.
    """
    hub = _hub
    handler = hub.handler
    if handler is None:
        return True
    if current_handler(SIGTERM) is not handler:
        return hub.repair()
    watcher = hub.watcher
    if watcher is not None:
        watcher.rearm()
    return True


def is_connected() -> bool:
    """Whether SIGTERM reaches the sessions, or was never connected; from any thread."""
    return _hub.connected


def previous_handler() -> Any:
    """
    Return the SIGTERM handler that this package calls after its flush.

    Returns:
        What ``signal.getsignal`` would return without this package: a server's method,
        for example, ``signal.SIG_DFL``, or None for a handler not set from Python.
    """
    found = current_handler(SIGTERM)
    return found.previous if _hub.owns(found) else found


def rearm() -> None:
    """
    Point ``signal.set_wakeup_fd`` at the watcher thread again.

    Call it on the main thread after an event loop has taken the wakeup fd. It does
    nothing where `watch_sigterm` was not called.
    """
    _hub.rearm()


def terminate() -> None:
    """Flush every connected session, in parallel; more invocations may follow."""
    _hub.terminate()


def close() -> None:
    """Close every connected session, in parallel: no invocation will follow."""
    _hub.close()


def close_child() -> None:
    """Close every session of a child process whose parent, the instance, goes on."""
    _hub.close(CHILD_GRACE)
