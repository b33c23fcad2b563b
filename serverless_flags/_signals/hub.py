"""The sessions of one process, and the ends of it that are connected to them."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import time
import weakref
from typing import TYPE_CHECKING, Any

from serverless_flags._fork import is_forked_at_work
from serverless_flags._signals.handler import SIG_DFL, SIGTERM, Handler, current_handler
from serverless_flags._signals.threads import are_green, run_side_by_side

if TYPE_CHECKING:  # with its protocol, which takes 0.1 ms to define
    from collections.abc import Sequence
    from typing import Protocol

    from serverless_flags._signals.threads import Work
    from serverless_flags._signals.watcher import Watcher

    class Terminable(Protocol):
        """What a session does when its instance ends."""

        def terminate(self, timeout: float) -> None:
            """Flush within ``timeout`` seconds; more invocations may follow."""

        def close(self, timeout: float) -> bool:
            """Flush within ``timeout`` seconds for the last time."""


CLOSE_ALLOWANCE = 0.05
"""Seconds that closing, and logging, may take beside the flush."""
CHILD_GRACE = 2.0
"""Seconds that a process which a function has forked may take at least to close at its
exit: the platform's grace is that of a signal, and none has come."""


class SignalHub:
    """
    The sessions of one process, and its SIGTERM handler.

    A signal handler and other threads may come between any two lines of it. So the
    sessions are in a plain dict, which is changed and copied in one step each, and
    whether our handler is installed is asked of Python, not remembered.
    """

    def __init__(self) -> None:
        self._sessions: dict[int, tuple[weakref.ref[Terminable], float]] = {}
        self.handler: Handler | None = None
        """The one that was installed last."""
        self.watcher: Watcher | None = None
        self._flushing = False
        self._signalled_again = False
        """Whether SIGTERM has come during a flush."""

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

    def terminate(self) -> float:
        """
        Call ``terminate`` of all sessions, side by side.

        Returns:
            The seconds that are left of the longest grace.
        """
        return self._tell([(s.terminate, grace) for s, grace in self.sessions], 0.0)

    def close(self, least: float = 0.0, most: float | None = None) -> None:
        """
        Call ``close`` of all sessions, side by side.

        Args:
            least: seconds that each is given at least, whatever its grace.
            most: seconds that each is given at most; default: no bound but its own.
        """
        works = [(s.close, _within(g, least, most)) for s, g in self.sessions]
        self._tell(works, CLOSE_ALLOWANCE)

    def _tell(self, works: Sequence[Work], more: float) -> float:
        longest = max((seconds for _, seconds in works), default=0.0)
        deadline = time.monotonic() + longest + more
        failures = run_side_by_side(works, deadline)
        if failures:  # logged on a thread: the interrupted one may hold the log's lock
            log = [(lambda _: _log(failures), CLOSE_ALLOWANCE)]
            run_side_by_side(log, time.monotonic() + CLOSE_ALLOWANCE)
        return max(0.0, deadline - time.monotonic())

    # -- the ends ------------------------------------------------------------------
    def on_sigterm(self) -> bool:
        """Flush, or have it done elsewhere: called by our handler."""
        if self.watcher is not None and self.watcher.runs:
            self.watcher.notify()
            return True
        if self._flushing:
            self._signalled_again = True  # this handler has interrupted what flushes
            return True
        if are_green():
            _thread.start_new_thread(self._flush_and_kill, ())
            return True
        self._flush()
        return False

    def _flush(self) -> None:
        """Flush, and where nothing but the end can follow, close in the same grace."""
        self._flushing = True
        try:
            left, ends = self.terminate(), self._ends
            while self._signalled_again and not ends:
                self._signalled_again = False
                self.terminate()
            if ends:
                self.close(most=left)
        finally:
            self._flushing = self._signalled_again = False

    @property
    def _ends(self) -> bool:
        """Whether SIGTERM ends the process: nobody else has taken it."""
        found = current_handler(SIGTERM)
        return self.is_ours(found) and bool(found.previous == SIG_DFL)

    def kill(self) -> None:
        """End by the signal, as if we had not been there."""
        signal.signal(SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), SIGTERM)

    def _flush_and_kill(self) -> None:
        """Flush in a greenlet, and end the process if SIGTERM does."""
        self._flush()
        if self._ends:
            self.kill()

    def _flush_and_exit(self) -> None:
        """Flush on the watcher's thread, and end the process if SIGTERM does."""
        self._flush()
        if self._ends:
            # The main thread may never run bytecode again, and sys.exit hangs in
            # concurrent.futures while awslambdaric polls from a pool thread.
            os._exit(0)

    def close_at_exit(self) -> None:
        """Close all sessions; from then on SIGTERM is what it was before us."""
        self._flushing = True
        try:
            self.close(CHILD_GRACE if is_forked_at_work() else 0.0)
        finally:
            ends = self._ends
            self._uninstall()
            if ends and self._signalled_again:
                self.kill()

    # -- the handler ---------------------------------------------------------------
    def is_ours(self, handler: Any) -> bool:
        """Whether ``handler`` is one of this process's."""
        return type(handler) is Handler and handler.owner is self

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
        self.handler = found
        return True

    def _handler_above(self, found: Any) -> Handler | None:
        """Return the handler to be put in the place of ``found``; None to leave it."""
        if found is None:  # the embedding program's, not to be called from here
            return None
        if self.handler is None or found == SIG_DFL:
            # What puts the default action back, as a closed event loop does, has
            # dropped all that was there before.
            return Handler(self, found)
        return self.handler.above(found)

    def watch(self) -> None:
        """Start the watcher, which hears SIGTERM while the main thread is in C."""
        if self.watcher is None:
            from serverless_flags._signals.watcher import Watcher  # sockets: 2 ms

            self.watcher = Watcher(self._flush_and_exit)
        self.rearm()

    def rearm(self) -> None:
        """Point the wakeup fd at the watcher again; on the main thread only."""
        if self.watcher is not None:
            self.watcher.rearm()

    @property
    def connected(self) -> bool:
        """Whether SIGTERM reaches us; True also where it was never connected."""
        if self.handler is None:
            return True
        found = current_handler(SIGTERM)
        if self.is_ours(found):
            return True
        # whatever handler stands there in Python, the wakeup fd hears the signal
        return self.watcher is not None and self.watcher.runs and callable(found)

    def repair(self) -> bool:
        """Take back what others took, on the main thread; return `connected`."""
        if self.handler is not None:
            self.install()
            self.rearm()
        return self.connected

    def _uninstall(self) -> None:
        """Put back what was there before us."""
        found = current_handler(SIGTERM)
        if self.is_ours(found):
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(SIGTERM, found.previous)
        self.handler = None

    def forget(self) -> None:
        """Undo in a forked child what it inherited and must not have."""
        self._sessions.clear()
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.close()
        self._uninstall()


def _within(seconds: float, least: float, most: float | None) -> float:
    longer = max(seconds, least)
    return longer if most is None else min(longer, most)


def _log(failures: list[BaseException]) -> None:
    import logging

    logger = logging.getLogger("serverless_flags")
    for failure in failures:
        logger.warning("a session could not flush at its end", exc_info=failure)
