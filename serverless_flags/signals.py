"""Connect the end of this process to its sessions, once per process; for adapters.

Whatever the way the process ends, each session is told once and all of them flush side
by side inside one grace; then happens what would have happened without us.
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
    """Hook exit and fork; twice, in a race, does no harm."""
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
    Close ``session`` when the interpreter exits in good order.

    Args:
        session: held weakly.
        grace: seconds that its last flush may take.
    """
    _hook_process()
    _hub.add(session, grace)


def connect_sigterm(session: Terminable, *, grace: float) -> bool:
    """
    Flush ``session`` at SIGTERM, then do what would have happened without us.

    The previous handler is called after the flush; the default action ends the
    process with the signal, as before. For runtimes whose main thread runs Python.

    Returns:
        False off the main thread, where Python lets nobody install a handler, and
        where one stands that is not Python's, for it could not be called afterwards.
    """
    connect_exit(session, grace=grace)
    return _hub.install()


def watch_sigterm(session: Terminable, *, grace: float) -> bool:
    """
    Flush ``session`` at SIGTERM even while the main thread is stuck in C code.

    A handler in Python cannot run there, as when awslambdaric blocks in ``next()``; a
    watcher thread is woken through ``signal.set_wakeup_fd`` instead and, when nobody
    else handles SIGTERM, ends the process after the flush.

    Returns:
        False off the main thread, where Python lets nobody install a handler, and
        where one stands that is not Python's, for it could not be called afterwards.
    """
    connect_exit(session, grace=grace)
    if not _hub.install():
        return False
    _hub.watch()
    return True


def repair() -> bool:
    """
    Take back what others took from us: SIGTERM, and the watcher's wakeup fd.

    An event loop that has handled SIGTERM leaves the default action behind, another
    handler may not call ours. Called by each session at the end of each invocation,
    on its thread; only on the main thread can anything be put back.

    Returns:
        False when SIGTERM no longer reaches us. True also where it never did.
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
    """Whether SIGTERM reaches us as far as we have connected it; from any thread."""
    return _hub.connected


def previous_handler() -> Any:
    """Return what would handle SIGTERM without us: a server's method, for example."""
    found = current_handler(SIGTERM)
    return found.previous if _hub.is_ours(found) else found


def rearm() -> None:
    """Point the wakeup fd at the watcher again: an event loop may have taken it."""
    _hub.rearm()


def terminate() -> None:
    """Flush every connected session side by side; invocations may follow."""
    _hub.terminate()


def close() -> None:
    """Close every connected session side by side: no invocation will follow."""
    _hub.close()


def close_child() -> None:
    """Close them in a process that ends though its platform's instance goes on."""
    _hub.close(CHILD_GRACE)
