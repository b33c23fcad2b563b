"""The sessions of one process and its SIGTERM handler."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # reason: it has no stub
import contextlib
import os
import signal
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from serverless_flags._threads import get_ident, run_side_by_side

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

FAREWELL = 0.05
"""Seconds that closing, and logging, may take beside the flush."""

MOST_HANDLERS = 8
"""How often other handlers may take SIGTERM before one of them is left in place."""

SIGTERM = int(signal.SIGTERM)
SIG_DFL = int(signal.SIG_DFL)

current_handler: Callable[[int], Any] = _signal.getsignal
"""What `signal.getsignal` calls, which makes an enumeration's member of the answer: up
to 5 µs before Python 3.13, and each invocation asks at its end."""


class Terminable(Protocol):
    """What a session does when its instance ends."""

    def terminate(self, timeout: float) -> None:
        """Flush within ``timeout`` seconds; more invocations may follow."""

    def close(self, timeout: float) -> bool:
        """Flush within ``timeout`` seconds for the last time."""


class Handler:
    """
    Our SIGTERM handler, and all that it has to know when it is called.

    It is complete before it is installed, for the signal may come at once.

    Args:
        hub: whose sessions it flushes.
        previous: what is called afterwards.
        older: ours below ``previous``, which may call it.
    """

    __slots__ = ("active", "depth", "hub", "older", "previous")

    depth: int

    def __init__(self, hub: Hub, previous: Any, older: Handler | None = None) -> None:
        self.hub = hub
        self.previous = previous
        self.older = older
        self.depth = 1 if older is None else older.depth + 1
        self.active = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Flush; whatever that meets, do what would have happened without us."""
        try:
            self.hub.hear(signum)
        finally:
            self._chain(signum, frame)

    def _chain(self, signum: int, frame: FrameType | None) -> None:
        if self.active and self.older is not None:  # called by `previous`
            self.older(signum, frame)
        elif callable(self.previous):
            self.active = True
            try:
                self.previous(signum, frame)
            finally:
                self.active = False
        elif self.previous == SIG_DFL:
            self.hub.end(signum)

    def has_displaced(self, handler: object) -> bool:
        """Whether ``handler`` stood below this one or an older one."""
        below = self.older is not None and self.older.has_displaced(handler)
        return below or self.previous == handler


class Hub:
    """
    The sessions of one process and its SIGTERM handler.

    A signal handler and other threads may come between any two lines of it. So the
    sessions are in a plain dict, which is changed and copied in one step each, and
    whether our handler is installed is asked of Python, not remembered.
    """

    def __init__(self) -> None:
        self._sessions: dict[int, tuple[weakref.ref[Terminable], float]] = {}
        self.handler: Handler | None = None
        """The one that was installed last."""
        self.thread = 0
        """The main thread, once a handler was installed there."""
        self.sockets: tuple[socket.socket, socket.socket] | None = None
        """The watcher's, as long as it runs."""
        self._flushing = False
        self._heard_again = False
        """Whether SIGTERM has come during a flush."""
        self._owes_end = False

    # -- the sessions --------------------------------------------------------------
    def add(self, session: Terminable, grace: float) -> None:
        """Hold ``session`` weakly."""
        sessions, key = self._sessions, id(session)
        known = weakref.ref(session, lambda _: sessions.pop(key, None))
        sessions[key] = known, grace

    @property
    def sessions(self) -> list[tuple[Terminable, float]]:
        """Those that are alive, with their graces in seconds."""
        found = [(known(), grace) for known, grace in self._sessions.copy().values()]
        return [(session, grace) for session, grace in found if session is not None]

    def tell(self, what: str, most: float = float("inf"), more: float = 0.0) -> float:
        """
        Call ``terminate`` or ``close`` of all sessions, side by side.

        Returns:
            The seconds that are left of the longest grace.
        """
        works = [(getattr(s, what), min(grace, most)) for s, grace in self.sessions]
        longest = max((grace for _, grace in works), default=0.0)
        deadline = time.monotonic() + longest + more
        failures = run_side_by_side(works, deadline)
        if failures:
            # on a thread: the interrupted one may hold the log's lock
            log = [(lambda _: _log(failures), FAREWELL)]
            run_side_by_side(log, time.monotonic() + FAREWELL)
        return max(0.0, deadline - time.monotonic())

    # -- the signal ----------------------------------------------------------------
    def hear(self, signum: int) -> None:
        """Flush, or let the watcher flush."""
        sockets = self.sockets
        if sockets is not None:
            with contextlib.suppress(OSError):
                sockets[1].send(bytes([signum]))  # the wakeup fd may be displaced
        elif self._flushing:
            self._heard_again = True  # this handler has interrupted the one that flushes
        else:
            self.flush()

    def flush(self) -> None:
        """Flush, and where nothing but the end can follow, close in the same grace."""
        self._flushing = True
        try:
            left, ends = self.tell("terminate"), self.ends
            while self._heard_again and not ends:
                self._heard_again = False
                self.tell("terminate")
            if ends:
                self.tell("close", left, FAREWELL)
        finally:
            self._flushing = False

    @property
    def ends(self) -> bool:
        """Whether SIGTERM ends the process: nobody else has taken it."""
        found = current_handler(SIGTERM)
        return self.is_ours(found) and found.previous == SIG_DFL

    def end(self, signum: int) -> None:
        """End by the signal, unless a flush is interrupted, which does so itself."""
        if self._flushing:
            self._owes_end = True
        elif self.sockets is None:  # else the watcher does
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    def close_at_exit(self) -> None:
        """Close all sessions; then SIGTERM is what it was before us."""
        self._flushing = True
        try:
            self.tell("close")
        finally:
            self._flushing = False
            self.uninstall()
            if self._owes_end:
                os.kill(os.getpid(), SIGTERM)

    # -- the handler ---------------------------------------------------------------
    def is_ours(self, handler: object) -> bool:
        """Whether ``handler`` is one of this process's."""
        return type(handler) is Handler and handler.hub is self

    def install(self) -> bool:
        """Take SIGTERM, keeping what is there; False where that cannot be done."""
        found = current_handler(SIGTERM)
        if not self.is_ours(found):
            handler = self._handler_above(found)
            if handler is None:
                return False
            try:
                signal.signal(SIGTERM, handler)
            except ValueError:  # not the main thread
                return False
            found = current_handler(SIGTERM)
            if found is not handler:  # mod_wsgi lets nobody install one
                return False
            self.thread = get_ident()
        self.handler = found
        return True

    def _handler_above(self, found: Any) -> Handler | None:
        """
        Return a handler to be put in the place of ``found``; None to leave it there.

        Who put the default action back, as a closed event loop does, forgot whoever was
        there before. Another handler may call ours or not; it is called by ours then,
        unless it is of those that come back again and again.
        """
        last = self.handler
        if found is None:  # the embedding program's, not to be called from here
            return None
        if last is None or found == SIG_DFL:
            return Handler(self, found)
        if last.depth >= MOST_HANDLERS or last.has_displaced(found):
            return None
        return Handler(self, found, last)

    @property
    def connected(self) -> bool:
        """Whether SIGTERM reaches us, where it has done so before."""
        if self.handler is None:
            return True
        found = current_handler(SIGTERM)
        # whatever handler stands there in Python, the wakeup fd hears the signal
        return self.is_ours(found) or (self.sockets is not None and callable(found))

    def repair(self) -> bool:
        """Take back what others took, on the main thread; return `connected`."""
        if self.handler is not None and get_ident() == self.thread:
            self.install()
            self.rearm()
        return self.connected

    def uninstall(self) -> None:
        """Put back what was there before us."""
        found = current_handler(SIGTERM)
        if self.is_ours(found):
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(SIGTERM, found.previous)
        self.handler = None

    # -- the watcher ---------------------------------------------------------------
    def watch(self) -> None:
        """Start the watcher, which hears SIGTERM while the main thread is in C."""
        if self.sockets is None:
            import socket  # 2 ms, and most platforms need no watcher

            receiver, sender = socket.socketpair()
            sender.settimeout(0)  # non-blocking: a wakeup fd must not wait
            try:
                threading.Thread(
                    target=self._watch,
                    args=(receiver,),
                    name="serverless-flags-sigterm",
                    daemon=True,
                ).start()
            except BaseException:
                sender.close()
                receiver.close()
                raise
            self.sockets = receiver, sender
        self.rearm()

    def rearm(self) -> None:
        """Point the wakeup fd at the watcher again; on the main thread only."""
        if self.sockets is not None and get_ident() == self.thread:
            fd = self.sockets[1].fileno()
            signal.set_wakeup_fd(fd, warn_on_full_buffer=False)

    def _watch(self, receiver: socket.socket) -> None:
        while _receive_sigterm(receiver):
            self.flush()
            if self.ends:
                # The main thread may never run bytecode again, and sys.exit hangs in
                # concurrent.futures while awslambdaric polls from a pool thread.
                os._exit(0)
        sockets, self.sockets = self.sockets, None  # from now on the handler flushes
        for end in sockets or ():
            end.detach()  # closed by others, and the numbers may be theirs by now

    # -- a fork --------------------------------------------------------------------
    def forget(self) -> None:
        """Undo in a forked child what it inherited and must not have."""
        self._sessions.clear()
        if self.sockets is not None:
            fds = {end.fileno() for end in self.sockets}
            wakeup = signal.set_wakeup_fd(-1)
            if wakeup not in {-1, *fds}:
                signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
            for end in self.sockets:
                end.close()
            self.sockets = None
        self.uninstall()


def _receive_sigterm(receiver: socket.socket) -> bool:
    """Wait for SIGTERM; False when somebody has closed either end."""
    with contextlib.suppress(OSError):
        while heard := receiver.recv(64):
            if SIGTERM in heard:
                return True
    return False


def _log(failures: list[BaseException]) -> None:
    from serverless_flags._report import logger

    for failure in failures:
        logger.warning("a session could not flush at its end", exc_info=failure)
