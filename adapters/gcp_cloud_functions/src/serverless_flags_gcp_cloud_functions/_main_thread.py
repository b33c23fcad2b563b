"""
Run code on the main thread, the only one that can install signal handlers.

Functions run on a thread pool under gunicorn's gthread worker, and ``def`` functions
under uvicorn, too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from serverless_flags import signals

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger("serverless_flags")


def run_on_main_thread(work: Callable[[], object]) -> bool:
    """
    Schedule ``work`` on the main thread; return False if no server is found.

    A server's SIGTERM handler is one of its methods, so the server can be found from
    any thread. uvicorn's main thread runs an event loop. gunicorn's main thread calls
    ``notify``, the heartbeat of a worker, at least once per second (workers/base.py)
    and, in gthread, after each request.
    """
    server: Any = getattr(signals.previous_handler(), "__self__", None)
    listeners = getattr(server, "servers", None)
    if listeners:
        listeners[0].get_loop().call_soon_threadsafe(work)
        return True
    if callable(getattr(server, "notify", None)):
        _run_at_heartbeat(server, work)
        return True
    return False


def _run_at_heartbeat(worker: Any, work: Callable[[], object]) -> None:
    """Run ``work`` once, after the next ``notify`` of a gunicorn worker."""
    notify = worker.notify

    def notify_and_work() -> None:
        worker.notify = notify
        notify()
        try:
            work()
        except Exception:  # noqa: BLE001  reason: it would end the worker
            _LOG.warning("a signal could not be connected", exc_info=True)

    worker.notify = notify_and_work
