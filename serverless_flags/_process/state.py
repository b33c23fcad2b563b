"""One session in one process: its phases from the start to the end."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import TYPE_CHECKING

from serverless_flags._clock import now
from serverless_flags._log import ProblemLog
from serverless_flags._process.single_flight import SingleFlight
from serverless_flags._process.start import (
    StartAttempt,
    count_close,
    count_start,
)
from serverless_flags._process.termination import TerminationSignals
from serverless_flags._protocols import ClosedClient, keeps_state
from serverless_flags._state import State
from serverless_flags._work.counts import AtomicCounter, warn_of_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._background import BackgroundTask
    from serverless_flags._clock import Instant
    from serverless_flags._plugins.dispatch import Plugins
    from serverless_flags._process.start import ServerSync
    from serverless_flags._settings import Settings
    from serverless_flags._work.due import DueWork
    from serverless_flags._work.flag_request import InheritedFlags
    from serverless_flags.types import FlagClient

FLUSH_INTERVAL = 60.0
"""The default of ``flush_interval`` where the platform sends a shutdown signal."""
MAX_START_WAIT = 60.0
"""Seconds to wait for a start at most, imports included."""


class ProcessState:
    """
    One session in one process: everything that a forked child must not inherit.

    A server that fails raises nothing here.

    Args:
        settings: the session's.
        inherited_flags: what the process that was copied had received.
    """

    def __init__(
        self, settings: Settings, inherited_flags: InheritedFlags | None = None
    ) -> None:
        self.settings = settings
        self._inherited_flags = inherited_flags
        self.clock: Callable[[], Instant] = settings.clock or now
        self.client: FlagClient | None = None
        """What evaluates flags; None until the session has started."""
        self.problem_log = ProblemLog()
        self.server_sync: ServerSync | None = None
        """What talks to the server; None before the start."""
        self.due_work: DueWork | None = None
        """What invocations begin; None before the start and after `close`."""
        self.termination = TerminationSignals()
        self.uncounted = AtomicCounter()
        """Evaluations without a client, or after `close`."""
        self.invoked = False
        """Whether an invocation has begun in this process."""
        self.terminating = False
        """Whether the platform has announced the end."""
        self._phase = State.NEW
        self._starts = SingleFlight(self.clock)
        self.collected = False
        """Whether the session was garbage-collected while it was open."""
        self._closed = False
        self._shut_down_once = threading.Lock()

    @property
    def state(self) -> State:
        """The phase that the session is in."""
        if self._phase is State.NEW:
            if self._starts.under_way:
                return State.STARTING
            return State.NEW if self._starts.error is None else State.DEGRADED
        if self._phase is not State.READY:
            return self._phase
        return State.READY if self._knows_flags else State.DEGRADED

    @property
    def _knows_flags(self) -> bool:
        if self.client is not None and not keeps_state(self.client):
            return True  # it refreshes its flags itself
        sync = self.server_sync
        return sync is not None and sync.refresher.source != "none"

    # -- signals -------------------------------------------------------------------
    def connect(self, plugins: Plugins, at: str) -> None:
        """Connect the platform's signals; once per process for each ``at``."""
        self.termination.connect(plugins, at)
        self._update_flush_interval()

    def repair_signals(self) -> None:
        """Reinstall handlers that your function replaced, or flush without them."""
        if self.termination.repair():
            self._update_flush_interval()

    def _update_flush_interval(self) -> None:
        if self.server_sync is not None:
            self.server_sync.set_flush_interval(self.flush_interval)

    def note_first_invocation(self, plugins: Plugins) -> None:
        """Connect the signals that can be connected only where invocations run."""
        self.connect(plugins, "first_invocation")
        self.invoked = True

    @property
    def flush_interval(self) -> float:
        """Seconds between flushes; 0 means at the end of every invocation."""
        if self.settings.flush_interval is not None:
            return self.settings.flush_interval
        return FLUSH_INTERVAL if self.termination.will_be_notified else 0.0

    # -- the start -----------------------------------------------------------------
    def start(
        self,
        plugins: Plugins,
        timeout: float | None = None,
        *,
        max_wait: float = MAX_START_WAIT,
    ) -> None:
        """
        Start once, in the background, and wait for it, on whichever thread is first.

        A start that failed is repeated after a back-off. A thread that the start itself
        waits for, as in a signal handler or a plugin, does not wait.

        Args:
            plugins: the session's.
            timeout: seconds to wait for the network; default ``start_timeout``.
            max_wait: seconds to wait for the start in all.
        """
        start = self.begin_start(plugins, timeout)
        if start is not None and not self.must_not_wait(get_ident()):
            self._starts.wait(start, max_wait)

    async def start_async(
        self, plugins: Plugins, timeout: float, max_wait: float
    ) -> None:
        """Start without blocking the running loop: the imports take 200 ms."""
        start = self.begin_start(plugins, timeout)
        if start is not None:
            await start.wait_async(max_wait)

    def begin_start(
        self, plugins: Plugins, timeout: float | None
    ) -> BackgroundTask | None:
        """Begin to start, unless a start is under way; return what to wait for."""
        if self._phase is not State.NEW:
            return None
        attempt = StartAttempt(
            plugins, self.settings, self.clock, self.problem_log, timeout
        )
        if not self.termination.connect_points and not self.must_not_wait(get_ident()):
            self.connect(plugins, "wrap")
        return self._starts.begin(lambda: self._start(attempt))

    def must_not_wait(self, thread: int) -> bool:
        """Whether a thread starts the session, connects it or already waits for it."""
        connects = self.termination.is_connecting(thread)
        return connects or self._starts.must_not_wait(thread)

    @property
    def may_start(self) -> bool:
        """Whether a start is under way or may begin now."""
        return self._phase is State.NEW and self._starts.open

    @property
    def start_error(self) -> str | None:
        """Why the start failed, or why there can be no flags."""
        return self._starts.error

    def _start(self, attempt: StartAttempt) -> None:
        """Start on this background thread, unless another attempt has succeeded."""
        if self._phase is not State.NEW:
            return
        try:
            self._load(attempt)
        except BaseException as error:  # noqa: BLE001  reason: nothing is above this thread; imports and plugins may raise anything
            self._start_failed(error)

    def _load(self, attempt: StartAttempt) -> None:
        why = attempt.warn_about_settings()
        sync = attempt.make_server_sync(self._inherited_flags)
        sync.set_flush_interval(self.flush_interval)
        self.server_sync = sync
        client, due_work = attempt.load_client(sync)
        self._starts.error = why
        self.client, self.due_work = client, due_work
        self._phase = State.TERMINATING if self.terminating else State.READY
        if self._closed:  # during the start
            self._phase = State.CLOSED
            self._shut_down()
        else:
            count_start(self.settings, self.problem_log)

    def _start_failed(self, error: BaseException) -> None:
        server_sync, self.server_sync = self.server_sync, None
        if server_sync is not None:
            server_sync.disconnect()
        known = isinstance(error, ImportError) and str(error)
        why = str(error) if known else f"{type(error).__name__}: {error}"
        self._starts.fail(why)
        self.problem_log.warn(
            "start",
            "the session could not start; defaults are served until a later attempt"
            " succeeds: %s",
            why,
            exc_info=not known,
        )

    # -- refresh and flush ---------------------------------------------------------
    def refresh(self, timeout: float | None) -> bool:
        """Request the flags now; return whether they were confirmed in time."""
        sync = self.server_sync
        refresh = None if sync is None else sync.begin_refresh(self.clock())
        if refresh is None:
            return False
        wait = self.settings.refresh_timeout if timeout is None else timeout
        return refresh.wait(wait) and refresh.confirmed

    def flush(self, timeout: float | None) -> bool:
        """Send the counts; True when none is left to send."""
        if self.server_sync is None:
            return True
        wait = self.settings.flush_timeout if timeout is None else timeout
        return self.server_sync.flush(self.settings.request_timeout, wait)

    # -- the end of the process ----------------------------------------------------
    def terminate(self, timeout: float) -> None:
        """Flush; from now on each ending invocation flushes itself."""
        if self._phase is State.CLOSED:
            return
        if self.state is not State.NEW:
            self.terminating = True
        if self._phase is State.READY:
            self._phase = State.TERMINATING
        if self.server_sync is not None:
            self.server_sync.flush_before_end(timeout)

    def abandon(self) -> InheritedFlags | None:
        """Close the copied connections; return the flags, which a copy may keep."""
        if self.server_sync is None:
            return self._inherited_flags
        self.server_sync.disconnect()
        return self.server_sync.refresher.inherited_flags

    def close(self, timeout: float) -> bool:
        """Flush for the last time; True when no counts were lost."""
        if self._phase is State.CLOSED:
            return True
        started = self._phase is not State.NEW
        sync = self.server_sync if started else None
        flushed = sync is None or sync.flush_before_end(timeout)
        if started and not self.collected:
            count_close(self.settings)
        self._closed = True
        self._phase = State.CLOSED
        self._shut_down()
        return flushed

    def _shut_down(self) -> None:
        """Evaluate without counting from now on; log once what was not counted."""
        if self.client is not None and not self._shut_down_once.acquire(blocking=False):
            return
        self.due_work = None
        if self.client is not None:
            self.client = ClosedClient(self.client, self._note_evaluation)
        sync = self.server_sync
        if sync is not None:
            sync.shut_down()
        counts = None if sync is None else sync.flusher.counts
        uncounted = self.uncounted.value + getattr(self.client, "uncounted", 0)
        warn_of_losses(self.problem_log, uncounted, counts)

    def _note_evaluation(self, *, counted: bool) -> None:
        """Warn of an evaluation after `close`; count it unless the client does."""
        if not counted:
            self.uncounted.add(1)
        self.problem_log.warn(
            "closed",
            "the session is closed: flags are still evaluated but no longer counted",
        )
