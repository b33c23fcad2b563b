"""Whether the end of this process will be heard, and why not."""

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
        self._reaches_us: Callable[[], bool] = _never
        """Whether SIGTERM still reaches us; `_never` while no end is heard."""
        self.ask: Callable[[], bool] = _never
        """Take back what others took from us; return whether SIGTERM reaches us."""
        self.heard = False
        """What `ask` had answered when `repair` was called last."""
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
        heard, why = plugins.connect_instance(at)
        if not heard and platform.ends_in_order:
            heard, why = _connect_ordered_end(session, platform)
        if heard and _is_plain_fork():
            heard, why = False, _FORKED
        if heard:
            self._reaches_us, self.ask = signals.is_connected, signals.repair
            self.heard = True
        self._why_not = why or self._why_not

    @property
    def will_be_notified(self) -> bool:
        """Whether each way to end of which the platform tells will be heard."""
        return self._reaches_us()

    def repair(self) -> bool:
        """
        Take back what others took from us; called at the end of each invocation.

        Where each call counts, ``ask() is not heard`` says whether there is a need.

        Returns:
            True when `will_be_notified` is no longer what it was at the last call.
        """
        if self.ask() is self.heard:
            return False
        self.heard = not self.heard
        return True

    @property
    def termination(self) -> str:
        """``connected``, or why the end will not be heard."""
        if self._reaches_us is _never:
            if not self.moments:
                return "not connected yet: nothing was wrapped or invoked"
            return f"not connected: {self._why_not}"
        return "connected" if self._reaches_us() else f"not connected: {_TAKEN}"


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
