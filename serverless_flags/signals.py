"""Connect the end of this process to its sessions, once per process; for adapters.

Whatever the way the process ends, each session is told once and all of them flush side
by side inside one grace; then happens what would have happened without us.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType


FAREWELL = 0.05
"""Seconds that closing may take beside its flush: it waits for nothing then."""


class Terminable(Protocol):
    """What a session does when its instance ends."""

    def terminate(self, timeout: float) -> None:
        """Flush within ``timeout`` seconds; more invocations may follow."""

    def close(self, timeout: float) -> bool:
        """Flush within ``timeout`` seconds for the last time."""


class _Hub:
    """The sessions of one process and its one SIGTERM handler."""

    def __init__(self) -> None:
        self.graces: weakref.WeakKeyDictionary[Terminable, float] = (
            weakref.WeakKeyDictionary()
        )
        self.installed = False
        self.main_thread = threading.main_thread().ident
        self.previous: Any = None
        self.sockets: tuple[socket.socket, socket.socket] | None = None
        self.wakeup = -1

    def install(self) -> bool:
        """Take SIGTERM, keeping what was there; False where that cannot be done."""
        if self.installed:
            return True
        if threading.current_thread() is not threading.main_thread():
            return False
        self.previous = signal.getsignal(signal.SIGTERM)
        if self.previous is None:  # the embedding program's, not to be called from here
            return False
        signal.signal(signal.SIGTERM, self.on_sigterm)
        self.installed = True
        return True

    def watch(self) -> None:
        """Start the watcher, which hears SIGTERM while the main thread is in C."""
        if self.sockets is None:
            import socket  # 2 ms, and most platforms need no watcher

            receiver, sender = socket.socketpair()
            sender.settimeout(0)  # non-blocking: a wakeup fd must not wait
            self.sockets, self.wakeup = (receiver, sender), sender.fileno()
            threading.Thread(
                target=self._watch, name="serverless-flags-sigterm", daemon=True
            ).start()
        self.rearm()

    def rearm(self) -> None:
        """Point the wakeup fd at the watcher again."""
        if self.sockets is not None and threading.get_ident() == self.main_thread:
            signal.set_wakeup_fd(self.wakeup, warn_on_full_buffer=False)

    def on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        """Flush, or let the watcher flush, then do what was to be done before us."""
        if self.sockets is None:
            self._flush()
            self._chain(signum, frame)
            return
        with contextlib.suppress(OSError):
            self.sockets[1].send(bytes([signum]))  # the wakeup fd may be displaced
        if callable(self.previous):
            self.previous(signum, frame)

    def terminate(self) -> None:
        """Flush all sessions side by side inside the longest grace."""
        self._side_by_side("terminate")

    def close(self) -> None:
        """Close all sessions side by side inside the longest grace."""
        self._side_by_side("close")

    def _flush(self) -> None:
        """Flush, and where nothing but the end can follow, close in the same grace."""
        left = self._side_by_side("terminate")
        if self.ends:
            self._side_by_side("close", left, FAREWELL)

    @property
    def ends(self) -> bool:
        """Whether SIGTERM ends the process: nobody else has taken it."""
        ours = signal.getsignal(signal.SIGTERM) == self.on_sigterm
        return ours and self.previous == signal.SIG_DFL

    def _side_by_side(
        self, what: str, most: float = float("inf"), longer: float = 0.0
    ) -> float:
        """Tell every session and wait; return what is left of the grace, in seconds."""
        graces = [(s, min(grace, most)) for s, grace in list(self.graces.items())]
        longest = max((grace for _, grace in graces), default=0.0)
        deadline = time.monotonic() + longest + longer
        ended = [_in_thread(getattr(s, what), grace) for s, grace in graces]
        for lock in ended:
            lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        return max(0.0, deadline - time.monotonic())

    def close_all(self) -> None:
        """Close all sessions on this thread: at exit no thread can be started."""
        graces = list(self.graces.items())
        deadline = time.monotonic() + max((grace for _, grace in graces), default=0.0)
        for session, _ in graces:
            session.close(max(0.0, deadline - time.monotonic()))

    def _chain(self, signum: int, frame: FrameType | None) -> None:
        if callable(self.previous):
            self.previous(signum, frame)
        elif self.previous == signal.SIG_DFL:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    def _watch(self) -> None:
        assert self.sockets is not None  # noqa: S101  reason: narrows the type
        heard = self.sockets[0].recv(64)
        while heard and signal.SIGTERM not in heard:
            heard = self.sockets[0].recv(64)
        if not heard:  # somebody closed the other end
            return
        self._flush()
        if self.ends:
            # The main thread may never run bytecode again, and sys.exit hangs in
            # concurrent.futures while awslambdaric polls from a pool thread.
            os._exit(0)

    def forget(self) -> None:
        """Undo in a forked child what it inherited and must not have."""
        if self.sockets is not None:
            signal.set_wakeup_fd(-1)
            for end in self.sockets:
                end.close()
        if self.installed and signal.getsignal(signal.SIGTERM) == self.on_sigterm:
            signal.signal(signal.SIGTERM, self.previous)


def _in_thread(end: Callable[[float], object], grace: float) -> _thread.LockType:
    """
    Run ``end(grace)`` on a bare thread; the lock is free when it returned.

    ``threading.Thread`` would take a lock that the interrupted main thread may hold.
    """
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            end(grace)
        finally:
            ended.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # no thread to be had: late, but not lost
        run()
    return ended


_hub = _Hub()
_hooked = False
_hook_lock = threading.Lock()


def _hook_process() -> None:
    """Hook exit and fork, once per interpreter."""
    global _hooked  # noqa: PLW0603  reason: atexit and fork hooks cannot be undone
    with _hook_lock:
        if _hooked:
            return
        _hooked = True
        atexit.register(lambda: _hub.close_all())  # noqa: PLW0108  reason: not this hub: a fork changes it
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    global _hub
    inherited, _hub = _hub, _Hub()
    inherited.forget()


def connect_exit(session: Terminable, *, grace: float) -> None:
    """
    Close ``session`` when the interpreter exits in good order.

    Args:
        session: held weakly.
        grace: seconds that its last flush may take.
    """
    _hook_process()
    _hub.graces[session] = grace


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


def rearm() -> None:
    """Point the wakeup fd at the watcher again: an event loop may have taken it."""
    _hub.rearm()


def terminate() -> None:
    """Flush every connected session side by side; invocations may follow."""
    _hub.terminate()


def close() -> None:
    """Close every connected session side by side: no invocation will follow."""
    _hub.close()
