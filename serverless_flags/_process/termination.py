"""Whether a termination signal will reach the sessions of this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from serverless_flags import _fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._plugins.dispatch import Plugins
    from serverless_flags._signals.hub import Terminable
    from serverless_flags.platform import Platform

_NO_SIGNAL = "the platform gives no signal here"
_OFF_MAIN_THREAD = (
    "SIGTERM can be handled on the main thread only, by Python alone: wrap the function"
    " while its module is imported there"
)
_FORKED = "a forked process may end past the interpreter's exit, by os._exit"
_TAKEN = (
    "SIGTERM was taken by a handler that may not call ours: install it before"
    " the function is wrapped"
)


def _never() -> bool:
    return False


class TerminationSignals:
    """
    The ends of one process, connected once per moment.

    A connect that an exception has interrupted is done again at the next moment.
    """

    def __init__(self) -> None:
        self.moments: set[str] = set()
        """When the platform was asked: ``wrap``, ``first_invocation``."""
        self._connecting: tuple[int, threading.Lock] | None = None
        """The thread that connects, by its identifier, as long as the lock is held."""
        self._why_not = _NO_SIGNAL
        self._is_connected: Callable[[], bool] = _never
        """Whether SIGTERM still reaches us; `_never` while none is connected."""
        self.check: Callable[[], bool] = _never
        """Take back what others took from us; return whether SIGTERM reaches us."""
        self.was_connected = False
        """What `check` had answered when `repair` was called last."""
        self._lock = threading.RLock()

    def connect(self, plugins: Plugins, at: str) -> None:
        """
        Let the platform connect its signals; a second thread waits for the first.

        Asked again on the connecting thread, by a plugin or in a signal handler, it
        does nothing: what asks must not wait for itself.
        """
        thread = threading.get_ident()
        if at in self.moments or self.is_connecting(thread):
            return
        held = threading.Lock()
        with self._lock, held:
            if at in self.moments:
                return
            self._connecting = (thread, held)
            self._connect(plugins, at)
            self.moments.add(at)

    def is_connecting(self, thread: int) -> bool:
        """Whether a thread is connecting signals now."""
        if self._connecting is None:
            return False
        connecting, held = self._connecting
        return connecting == thread and held.locked()

    def _connect(self, plugins: Plugins, at: str) -> None:
        from serverless_flags import signals  # sockets: not at import

        if at == "first_invocation":
            _fork.note_work()
        platform, session = plugins.platform, plugins.session
        signals.connect_exit(session, grace=platform.shutdown_grace)
        _fork.call_at_child_exit(signals.close_child)
        connected, why = plugins.connect_instance(at)
        if not connected and platform.ends_in_order:
            connected, why = _connect_ordered_end(session, platform)
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
        Take back what others took from us; called at the end of each invocation.

        Where each call counts, ``check() is not was_connected`` says whether there is a need.

        Returns:
            True when `will_be_notified` is no longer what it was at the last call.
        """
        if self.check() is self.was_connected:
            return False
        self.was_connected = not self.was_connected
        return True

    @property
    def termination(self) -> str:
        """``connected``, or why no shutdown notice will arrive."""
        if self._is_connected is _never:
            if not self.moments:
                return "not connected yet: nothing was wrapped or invoked"
            return f"not connected: {self._why_not}"
        return "connected" if self._is_connected() else f"not connected: {_TAKEN}"


def _is_plain_fork() -> bool:
    """Whether a function has forked this process, and not by multiprocessing."""
    return _fork.is_forked_at_work() and not _fork.is_multiprocessing_child()


def _connect_ordered_end(session: Terminable, platform: Platform) -> tuple[bool, str]:
    """Connect SIGTERM where ``atexit`` hears every other end but a fork's."""
    from serverless_flags import signals

    if not signals.connect_sigterm(session, grace=platform.shutdown_grace):
        return False, _OFF_MAIN_THREAD
    if _fork.is_forked() and not _fork.is_multiprocessing_child():
        return False, _FORKED
    return True, ""
