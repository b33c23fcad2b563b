"""The sessions of one process, which are flushed at SIGTERM and closed at its exit."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import time
import weakref
from typing import TYPE_CHECKING, Any

from serverless_flags._fork import is_forked_by_invocation
from serverless_flags._signals.handler import SIG_DFL, SIGTERM, Handler, current_handler
from serverless_flags._signals.threads import run_in_parallel, threads_are_greenlets

if TYPE_CHECKING:  # the protocol too: defining one takes 0.1 ms of a cold start
    from collections.abc import Sequence
    from typing import Protocol

    from serverless_flags._signals.threads import Work
    from serverless_flags._signals.watcher import Watcher

    class Terminable(Protocol):
        """What a session does when its process ends."""

        def terminate(self, timeout: float) -> None:
            """Flush within ``timeout`` seconds; more invocations may follow."""

        def close(self, timeout: float) -> bool:
            """Flush within ``timeout`` seconds for the last time."""


CLOSE_ALLOWANCE = 0.05
"""Seconds that closing and logging may take in addition to the flush."""
CHILD_GRACE = 2.0
"""Seconds that a child forked by a function has at least to close its sessions at exit.
The platform's grace does not apply: it is for the time after a shutdown signal."""


class SignalHub:
    """
    The sessions of one process, and its SIGTERM handler.

    A signal handler or another thread may run between any two lines of this class.
    Therefore the sessions are in a plain dict, which is changed and copied in one step
    each, and Python is asked which handler is installed.
    """

    def __init__(self) -> None:
        self._sessions: dict[int, tuple[weakref.ref[Terminable], float]] = {}
        self.handler: Handler | None = None
        """The handler that was installed last."""
        self.watcher: Watcher | None = None
        self._flushing = False
        self._signalled_again = False
        """Whether SIGTERM has arrived during a flush."""

    # -- the sessions --------------------------------------------------------------
    def add(self, session: Terminable, grace: float) -> None:
        """Add a session with its grace in seconds, holding it weakly."""
        sessions, key = self._sessions, id(session)
        known = weakref.ref(session, lambda _: sessions.pop(key, None))
        sessions[key] = known, grace

    @property
    def sessions(self) -> list[tuple[Terminable, float]]:
        """The sessions that still exist, with their graces in seconds."""
        found = [(known(), grace) for known, grace in self._sessions.copy().values()]
        return [(session, grace) for session, grace in found if session is not None]

    def terminate(self) -> float:
        """
        Call ``terminate`` of all sessions in parallel.

        Returns:
            The seconds that remain of the longest grace.
        """
        return self._run_all([(s.terminate, grace) for s, grace in self.sessions], 0.0)

    def close(self, min_grace: float = 0.0, max_grace: float | None = None) -> None:
        """
        Call ``close`` of all sessions in parallel.

        Args:
            min_grace: seconds that each session has at least, whatever its own grace.
            max_grace: seconds that each session has at most; default: no limit.
        """
        works = [
            (s.close, _clamped(grace, min_grace, max_grace))
            for s, grace in self.sessions
        ]
        self._run_all(works, CLOSE_ALLOWANCE)

    def _run_all(self, works: Sequence[Work], allowance: float) -> float:
        longest = max((seconds for _, seconds in works), default=0.0)
        deadline = time.monotonic() + longest + allowance
        failures = run_in_parallel(works, deadline)
        if failures:  # logged on a thread: the interrupted one may hold the log's lock
            log = [(lambda _: _log(failures), CLOSE_ALLOWANCE)]
            run_in_parallel(log, time.monotonic() + CLOSE_ALLOWANCE)
        return max(0.0, deadline - time.monotonic())

    # -- SIGTERM and exit ----------------------------------------------------------
    def on_sigterm(self) -> bool:
        """Flush, or let another thread flush; called by the `Handler`."""
        if self.watcher is not None and self.watcher.runs:
            self.watcher.notify()
            return True
        if self._flushing:
            self._signalled_again = True  # this handler has interrupted a flush
            return True
        if threads_are_greenlets():
            _thread.start_new_thread(self._flush_and_kill, ())
            return True
        self._flush()
        return False

    def _flush(self) -> None:
        """Flush; if SIGTERM will end the process, also close in the same grace."""
        self._flushing = True
        try:
            remaining, ends = self.terminate(), self._sigterm_ends_process
            while self._signalled_again and not ends:
                self._signalled_again = False
                self.terminate()
            if ends:
                self.close(max_grace=remaining)
        finally:
            self._flushing = self._signalled_again = False

    @property
    def _sigterm_ends_process(self) -> bool:
        """Whether SIGTERM ends the process, because nothing else handles it."""
        found = current_handler(SIGTERM)
        return self.owns(found) and bool(found.previous == SIG_DFL)

    def kill(self) -> None:
        """End the process by the default action of SIGTERM."""
        signal.signal(SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), SIGTERM)

    def _flush_and_kill(self) -> None:
        """Flush in a greenlet, then end the process if SIGTERM does."""
        self._flush()
        if self._sigterm_ends_process:
            self.kill()

    def _flush_and_exit(self) -> None:
        """Flush on the watcher's thread, then end the process if SIGTERM does."""
        self._flush()
        if self._sigterm_ends_process:
            # The main thread may never run bytecode again, and sys.exit hangs in
            # concurrent.futures while awslambdaric polls from a pool thread.
            os._exit(0)

    def close_at_exit(self) -> None:
        """Close all sessions, and put back the handler that SIGTERM had before."""
        self._flushing = True
        try:
            self.close(CHILD_GRACE if is_forked_by_invocation() else 0.0)
        finally:
            ends = self._sigterm_ends_process
            self._uninstall()
            if ends and self._signalled_again:
                self.kill()

    # -- the handler ---------------------------------------------------------------
    def owns(self, handler: Any) -> bool:
        """Whether ``handler`` is a `Handler` of this hub."""
        return type(handler) is Handler and handler.owner is self

    def install(self) -> bool:
        """Install a handler that calls the current one; False where that fails."""
        found = current_handler(SIGTERM)
        if not self.owns(found):
            handler = self._handler_replacing(found)
            if handler is None:
                return False
            try:
                signal.signal(SIGTERM, handler)
            except ValueError:  # not the main thread
                return False
            found = current_handler(SIGTERM)
            if found is not handler:  # mod_wsgi ignores `signal.signal`
                return False
        self.handler = found
        return True

    def _handler_replacing(self, found: Any) -> Handler | None:
        """Return the handler to install in place of ``found``; None to leave it."""
        if found is None:  # installed from C, so that Python cannot call it
            return None
        if self.handler is None or found == SIG_DFL:
            # Whatever restores the default action, as a closed event loop does, has
            # dropped all handlers that were there before.
            return Handler(self, found)
        return self.handler.successor(found)

    def watch(self) -> None:
        """Start the watcher, which receives SIGTERM while the main thread is in C."""
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
        """Whether SIGTERM reaches the sessions; True if it was never connected."""
        if self.handler is None:
            return True
        found = current_handler(SIGTERM)
        if self.owns(found):
            return True
        # whichever handler is installed in Python, the wakeup fd receives the signal
        return self.watcher is not None and self.watcher.runs and callable(found)

    def repair(self) -> bool:
        """Reinstall what was replaced, on the main thread; return `connected`."""
        if self.handler is not None:
            self.install()
            self.rearm()
        return self.connected

    def _uninstall(self) -> None:
        """Restore the previous handler."""
        found = current_handler(SIGTERM)
        if self.owns(found):
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(SIGTERM, found.previous)
        self.handler = None

    def forget(self) -> None:
        """Drop the sessions, handler and watcher that a forked child has inherited."""
        self._sessions.clear()
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.close()
        self._uninstall()


def _clamped(seconds: float, least: float, most: float | None) -> float:
    longer = max(seconds, least)
    return longer if most is None else min(longer, most)


def _log(failures: list[BaseException]) -> None:
    import logging

    logger = logging.getLogger("serverless_flags")
    for failure in failures:
        logger.warning("a session could not flush at shutdown", exc_info=failure)
