"""Flush or close the sessions of this process when it ends; for adapters.

However the process ends, each session is notified once, and all of them flush in
parallel within one grace. Then the process continues as it would have without them.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from serverless_flags._signals.handler import SIGTERM, current_handler
from serverless_flags._signals.hub import CHILD_GRACE, SignalHub

if TYPE_CHECKING:
    from serverless_flags._signals.hub import Terminable

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
    Close ``session`` when the interpreter exits and calls its ``atexit`` functions.

    Args:
        session: held weakly.
        grace: seconds that its last flush may take.
    """
    _hook_process()
    _hub.add(session, grace)


def connect_sigterm(session: Terminable, *, grace: float) -> bool:
    """
    Flush ``session`` at SIGTERM, then handle the signal as before.

    After the flush the previous handler is called, or the default action ends the
    process. For runtimes whose main thread runs Python code.

    Args:
        session: held weakly.
        grace: seconds that its flush may take.

    Returns:
        False on any thread but the main thread, where Python allows no handler to be
        installed, and where a handler was installed from C, which Python could not
        call after the flush.
    """
    connect_exit(session, grace=grace)
    return _hub.install()


def watch_sigterm(session: Terminable, *, grace: float) -> bool:
    """
    Flush ``session`` at SIGTERM even while the main thread is stuck in C code.

    No Python handler can run then, as when awslambdaric blocks in ``next()``. Instead,
    ``signal.set_wakeup_fd`` wakes a watcher thread, which flushes and, unless other
    code handles SIGTERM, ends the process.

    Args:
        session: held weakly.
        grace: seconds that its flush may take.

    Returns:
        False in the cases in which `connect_sigterm` returns False.
    """
    connect_exit(session, grace=grace)
    if not _hub.install():
        return False
    _hub.watch()
    return True


def repair() -> bool:
    """
    Reinstall the SIGTERM handler, and the watcher's wakeup fd, if they were replaced.

    An event loop that has handled SIGTERM leaves the default action behind, and another
    handler may not call the previous one. Each session calls this at the end of each
    invocation, on its thread; only the main thread can reinstall anything.

    Returns:
        False when SIGTERM was connected and no longer reaches the sessions.
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
    """Whether SIGTERM, if it was connected, reaches the sessions; from any thread."""
    return _hub.connected


def previous_handler() -> Any:
    """Return the SIGTERM handler that the sessions replaced, or the current one."""
    found = current_handler(SIGTERM)
    return found.previous if _hub.owns(found) else found


def rearm() -> None:
    """Point the wakeup fd at the watcher again, after an event loop replaced it."""
    _hub.rearm()


def terminate() -> None:
    """Flush every connected session in parallel; invocations may follow."""
    _hub.terminate()


def close() -> None:
    """Close every connected session in parallel; no invocation may follow."""
    _hub.close()


def close_child() -> None:
    """Close every session of a child process, which ends before the instance does."""
    _hub.close(CHILD_GRACE)
