"""Connect the termination signals of a session, and say whether they will arrive."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from serverless_flags import _fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._plugins.dispatch import Plugins
    from serverless_flags._signals.hub import Terminable
    from serverless_flags.platform import Platform

_NO_SIGNAL = "the platform sends no shutdown signal here"
_OFF_MAIN_THREAD = (
    "only Python code on the main thread can handle SIGTERM: wrap the function while"
    " its module is imported there"
)
_FORKED = "a forked process may end by os._exit, without the interpreter's exit"
_REPLACED = (
    "SIGTERM was taken over by a handler that may not call the session's: install it"
    " before the function is wrapped"
)


def _never() -> bool:
    return False


class TerminationSignals:
    """
    The termination signals of one session in one process.

    They are connected once at each connect point: ``wrap`` and ``first_invocation``,
    the values of ``at`` in the hook ``connect_instance``. After an exception that has
    interrupted it, the next call connects again.
    """

    def __init__(self) -> None:
        self.connect_points: set[str] = set()
        """The connect points at which the platform's signals have been connected."""
        self._connecting: tuple[int, threading.Lock] | None = None
        """The identifier of the thread that connects, valid while the lock is held."""
        self._why_not = _NO_SIGNAL
        self._is_connected: Callable[[], bool] = _never
        """Whether SIGTERM reaches the session; `_never` before it is connected."""
        self.check: Callable[[], bool] = _never
        """Reinstall a replaced handler; return whether SIGTERM reaches the session."""
        self.was_connected = False
        """The result of `check` at the last call of `repair`."""
        self._lock = threading.RLock()

    def connect(self, plugins: Plugins, at: str) -> None:
        """
        Connect the platform's signals; a second thread waits for the first.

        Called again on the connecting thread, by a plugin or a signal handler, it does
        nothing, because that thread must not wait for itself.
        """
        thread = threading.get_ident()
        if at in self.connect_points or self.is_connecting(thread):
            return
        held = threading.Lock()
        with self._lock, held:
            if at in self.connect_points:
                return
            self._connecting = (thread, held)
            self._connect(plugins, at)
            self.connect_points.add(at)

    def is_connecting(self, thread: int) -> bool:
        """Whether a thread is connecting the signals now."""
        if self._connecting is None:
            return False
        connecting, held = self._connecting
        return connecting == thread and held.locked()

    def _connect(self, plugins: Plugins, at: str) -> None:
        from serverless_flags import signals  # sockets: not at import

        if at == "first_invocation":
            _fork.note_invocation()
        platform, session = plugins.platform, plugins.session
        signals.connect_exit(session, grace=platform.shutdown_grace)
        _fork.call_at_child_exit(signals.close_child)
        connected, why = plugins.connect_instance(at)
        if not connected and platform.ends_in_order:
            connected, why = _connect_sigterm(session, platform)
        if connected and _is_plain_fork():
            connected, why = False, _FORKED
        if connected:
            self._is_connected, self.check = signals.is_connected, signals.repair
            self.was_connected = True
        self._why_not = why or self._why_not

    @property
    def will_be_notified(self) -> bool:
        """Whether each shutdown notice of the platform will reach the session."""
        return self._is_connected()

    def repair(self) -> bool:
        """
        Reinstall handlers that were replaced; called at the end of each invocation.

        The hot path compares ``check()`` with `was_connected` to save the call.

        Returns:
            True when `will_be_notified` has changed since the last call.
        """
        if self.check() is self.was_connected:
            return False
        self.was_connected = not self.was_connected
        return True

    @property
    def termination(self) -> str:
        """``connected``, or why no shutdown notice will arrive."""
        if self._is_connected is _never:
            if not self.connect_points:
                return "not connected yet: nothing was wrapped or invoked"
            return f"not connected: {self._why_not}"
        return "connected" if self._is_connected() else f"not connected: {_REPLACED}"


def _is_plain_fork() -> bool:
    """Whether a function has forked this process with ``os.fork``."""
    return _fork.is_forked_by_invocation() and not _fork.is_multiprocessing_child()


def _connect_sigterm(session: Terminable, platform: Platform) -> tuple[bool, str]:
    """Connect SIGTERM; any other end runs ``atexit`` functions, except a fork's."""
    from serverless_flags import signals

    if not signals.connect_sigterm(session, grace=platform.shutdown_grace):
        return False, _OFF_MAIN_THREAD
    if _fork.is_forked() and not _fork.is_multiprocessing_child():
        return False, _FORKED
    return True, ""
