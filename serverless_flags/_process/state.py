"""The flags of one process: everything that a fork must not inherit."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask, run_bounded
from serverless_flags._clock import now
from serverless_flags._log import ProblemLog
from serverless_flags._process.single_flight import SingleFlight
from serverless_flags._process.start import (
    StartInputs,
    ask,
    bring_flags,
    count_close,
    count_start,
    make_server_sync,
    warn_about_settings,
)
from serverless_flags._process.termination import TerminationSignals
from serverless_flags._protocols import ClosedClient, keeps_state
from serverless_flags._status import State
from serverless_flags._work.counts import AtomicCounter, warn_of_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._clock import Instant
    from serverless_flags._plugins.dispatch import Plugins
    from serverless_flags._process.start import ServerSync
    from serverless_flags._settings import Settings
    from serverless_flags._work.due import DueWork
    from serverless_flags._work.flag_request import InheritedFlags
    from serverless_flags.types import FlagClient

FLUSH_INTERVAL = 60.0
LONGEST_START = 60.0
"""Seconds to wait for a start, imports included."""


class ProcessState:
    """
    One session in one process.

    Nothing here raises for a bad server.
    """

    def __init__(
        self, settings: Settings, inherited_flags: InheritedFlags | None = None
    ) -> None:
        self.settings = settings
        self._inherited_flags = inherited_flags
        self.clock: Callable[[], Instant] = settings.clock or now
        self.client: FlagClient | None = None
        """What evaluates; None until the start is over."""
        self.problem_log = ProblemLog()
        self.server_sync: ServerSync | None = None
        """What asks the server; None before the start."""
        self.due_work: DueWork | None = None
        """What invocations do; None before the start and after the end."""
        self.termination = TerminationSignals()
        self.uncounted = AtomicCounter()
        """Evaluations without a client, or after the end."""
        self.invoked = False
        """Whether an invocation has begun in this process."""
        self.terminating = False
        """Whether the platform has announced the end."""
        self._phase = State.NEW
        self._starts = SingleFlight(self.clock)
        self.collected = False
        """Whether the session was garbage-collected while it was open."""
        self._closed = False
        self._shut_once = threading.Lock()

    @property
    def state(self) -> State:
        """Where the session stands."""
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
            return True  # it looks after its flags itself
        return (
            self.server_sync is not None and self.server_sync.refresher.source != "none"
        )

    # -- signals -------------------------------------------------------------------
    def connect(self, plugins: Plugins, at: str) -> None:
        """Connect the signals of the platform, once per process and moment."""
        self.termination.connect(plugins, at)
        self._tell_flusher()

    def repair_signals(self) -> None:
        """Take the signals back that a function has taken, or flush without them."""
        if self.termination.repair():
            self._tell_flusher()

    def _tell_flusher(self) -> None:
        if self.server_sync is not None:
            self.server_sync.flusher.interval = self.flush_interval

    def invoke_first(self, plugins: Plugins) -> None:
        """Connect what can be connected only where invocations run."""
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
        patience: float = LONGEST_START,
    ) -> None:
        """
        Start in the background, once, and wait for it; whichever thread comes first.

        A start that failed is made again, after a back-off. A thread that the start
        waits for, as a signal handler on it, returns at once.

        Args:
            plugins: the session's.
            timeout: seconds to wait for the network; default ``start_timeout``.
            patience: seconds to wait for the start in all.
        """
        start = self.begin_start(plugins, timeout)
        if start is not None and not self.must_not_wait(get_ident()):
            self._starts.wait(start, patience)

    async def start_async(
        self, plugins: Plugins, timeout: float, patience: float
    ) -> None:
        """Start without blocking the running loop: the imports take 200 ms."""
        start = self.begin_start(plugins, timeout)
        if start is not None:
            await start.wait_async(patience)

    def begin_start(
        self, plugins: Plugins, timeout: float | None
    ) -> BackgroundTask | None:
        """Begin the start unless there was one; return what there is to wait for."""
        if self._phase is not State.NEW:
            return None
        moment = self.clock()
        if not self.termination.moments and not self.must_not_wait(get_ident()):
            self.connect(plugins, "wrap")
        inputs = StartInputs(plugins, self.settings, self.clock, self.problem_log)
        return self._starts.begin(lambda: self._start(inputs, moment, timeout))

    def must_not_wait(self, thread: int) -> bool:
        """Whether a thread starts the session, connects it or waits for it already."""
        connects = self.termination.is_connecting(thread)
        return connects or self._starts.must_not_wait(thread)

    @property
    def may_start(self) -> bool:
        """Whether there is a start to wait for, or to make."""
        return self._phase is State.NEW and self._starts.open

    @property
    def start_error(self) -> str | None:
        """Why the start failed, or why there can be no flags."""
        return self._starts.error

    def _start(
        self, inputs: StartInputs, moment: Instant, timeout: float | None
    ) -> None:
        """Start, on a thread of ours, unless another attempt has."""
        if self._phase is not State.NEW:
            return
        try:
            self._bring_flags(inputs, moment, timeout)
        except BaseException as error:  # noqa: BLE001  reason: a thread of ours; imports and plugins may raise anything
            self._start_failed(error)

    def _bring_flags(
        self, inputs: StartInputs, moment: Instant, timeout: float | None
    ) -> None:
        why = warn_about_settings(inputs)
        server_sync = make_server_sync(inputs, self._inherited_flags)
        server_sync.flusher.interval = self.flush_interval
        self.server_sync = server_sync
        client, due_work = bring_flags(inputs, server_sync, moment, timeout)
        self._starts.error = why
        self.client, self.due_work = client, due_work
        self._phase = State.TERMINATING if self.terminating else State.READY
        if self._closed:  # meanwhile
            self._phase = State.CLOSED
            self._shut()
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
            "the session could not start, defaults are served and it is tried again:"
            " %s",
            why,
            exc_info=not known,
        )

    # -- at work -------------------------------------------------------------------
    def refresh(self, timeout: float | None) -> bool:
        """Ask the server now; return whether it confirmed the flags in time."""
        asked = (
            None if self.server_sync is None else ask(self.server_sync, self.clock())
        )
        if asked is None:
            return False
        wait = self.settings.refresh_timeout if timeout is None else timeout
        return asked.wait(wait) and asked.confirmed

    def flush(self, timeout: float | None) -> bool:
        """Send the counts; True when none is left to send."""
        if self.server_sync is None:
            return True
        flusher = self.server_sync.flusher
        answers: list[bool] = []
        limit = self.settings.request_timeout
        task = BackgroundTask(lambda: answers.append(flusher.finish(limit))).start()
        wait = self.settings.flush_timeout if timeout is None else timeout
        return task.wait(wait) and answers == [True]

    # -- the end -------------------------------------------------------------------
    def terminate(self, timeout: float) -> None:
        """Flush; from now on each ending invocation flushes itself."""
        if self._phase is State.CLOSED:
            return
        if self.state is not State.NEW:
            self.terminating = True
        if self._phase is State.READY:
            self._phase = State.TERMINATING
        if self.server_sync is not None:
            flusher = self.server_sync.flusher
            run_bounded(
                lambda exiting: flusher.finish(timeout, exiting=exiting), timeout
            )

    def abandon(self) -> InheritedFlags | None:
        """Let go of what was copied; the flags are all that a copy may go on with."""
        if self.server_sync is None:
            return self._inherited_flags
        self.server_sync.disconnect()
        return self.server_sync.refresher.inherited_flags

    def close(self, timeout: float) -> bool:
        """Flush for the last time; True when nothing was lost."""
        if self._phase is State.CLOSED:
            return True
        started = self._phase is not State.NEW
        flushed = [not started]
        if started:
            run_bounded(
                lambda exiting: flushed.append(self._finish(timeout, exiting=exiting)),
                timeout,
            )
        if started and not self.collected:
            count_close(self.settings)
        self._closed = True
        self._phase = State.CLOSED
        self._shut()
        return flushed[-1]

    def _finish(self, timeout: float, *, exiting: bool) -> bool:
        return self.server_sync is None or self.server_sync.flusher.finish(
            timeout, exiting=exiting
        )

    def _shut(self) -> None:
        """Let later evaluations be answered uncounted, and book what is lost, once."""
        if self.client is not None and not self._shut_once.acquire(blocking=False):
            return
        self.due_work = None
        if self.client is not None:
            self.client = ClosedClient(self.client, self._note_lost)
        if self.server_sync is not None:
            self.server_sync.end()
        counts = None if self.server_sync is None else self.server_sync.flusher.counts
        uncounted = self.uncounted.value + getattr(self.client, "uncounted", 0)
        warn_of_losses(self.problem_log, uncounted, counts)

    def _note_lost(self, *, counted: bool) -> None:
        if not counted:
            self.uncounted.add(1)
        self.problem_log.warn(
            "closed", "the session is closed: flags are answered but no longer counted"
        )
