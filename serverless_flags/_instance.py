"""The flags of one process: everything that a fork must not inherit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from serverless_flags import _freshness
from serverless_flags._client import ClosedClient, StateClient
from serverless_flags._config import UNLEASH
from serverless_flags._connection import Connection
from serverless_flags._duties import Duties
from serverless_flags._errand import Errand, Waitable
from serverless_flags._flush import Flusher
from serverless_flags._freshness import Freshness
from serverless_flags._refresh import Heritage, Refresh, Refresher
from serverless_flags._report import Reporter, logger
from serverless_flags._status import State
from serverless_flags.clients import open_backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._client import Backend, FlagClient
    from serverless_flags._config import Settings
    from serverless_flags._freshness import Instant
    from serverless_flags._plugins import Plugins
    from serverless_flags._session import FlagSession

FLUSH_INTERVAL = 60.0
STUCK = 60.0
"""Seconds to wait for another thread's start, imports included."""


class Instance:
    """
    One session in one process.

    Nothing here raises for a bad server.
    """

    def __init__(self, settings: Settings, heritage: Heritage | None = None) -> None:
        self.settings = settings
        self._heritage = heritage
        self.clock: Callable[[], Instant] = settings.clock or _freshness.now
        self.client: FlagClient | None = None
        """What evaluates; None until the start is over."""
        self.reporter = Reporter()
        self.refresher: Refresher | None = None
        self.flusher: Flusher | None = None
        self.duties: Duties | None = None
        """What invocations do; None before the start and after the end."""
        self.connection = Connection()
        self.uncounted = 0
        """Evaluations without a client, or after the end."""
        self.invoked = False
        """Whether an invocation has begun in this process."""
        self.terminating = False
        """Whether the platform has announced the end."""
        self._phase = State.NEW
        self._lock = threading.Lock()
        self._started = Waitable()
        self._backend: Backend | None = None

    @property
    def state(self) -> State:
        """Where the session stands."""
        if self._phase is not State.READY:
            return self._phase
        return State.READY if self._knows_flags else State.DEGRADED

    @property
    def _knows_flags(self) -> bool:
        if self.client is not None and not isinstance(self.client, StateClient):
            return True  # it looks after its flags itself
        return self.refresher is not None and self.refresher.source != "none"

    def connect(self, session: FlagSession, plugins: Plugins, at: str) -> None:
        """Connect the signals of the platform, once per process and moment."""
        self.connection.connect(session, plugins, at)
        if self.flusher is not None:
            self.flusher.interval = self.flush_interval

    def invoke_first(self, session: FlagSession, plugins: Plugins) -> None:
        """Connect what can be connected only where invocations run."""
        self.connect(session, plugins, "first_invocation")
        self.invoked = True

    @property
    def flush_interval(self) -> float:
        """Seconds between flushes; 0 means at the end of every invocation."""
        if self.settings.flush_interval is not None:
            return self.settings.flush_interval
        return FLUSH_INTERVAL if self.connection.hears_end else 0.0

    def start(
        self, session: FlagSession, plugins: Plugins, timeout: float | None = None
    ) -> None:
        """Import the client while the network works; once, whoever comes first."""
        if not self._claim_start():
            self._started.wait(STUCK)
            return
        try:
            if not self.connection.moments:
                self.connect(session, plugins, "wrap")
            self._start(session, plugins, timeout)
        except Exception:  # noqa: BLE001  reason: a session's fault must not be the function's
            logger.warning("the session could not start: defaults", exc_info=True)
        finally:
            if self._phase is State.STARTING:
                self._phase = State.READY
            self._started.end()

    def _claim_start(self) -> bool:
        """Whether the caller is the one to start."""
        with self._lock:
            if self._phase is not State.NEW:
                return False
            self._phase = State.STARTING
            return True

    @property
    def started(self) -> bool:
        """Whether the start is over, well or not."""
        return self._started.ended

    async def start_beside(
        self, session: FlagSession, plugins: Plugins, timeout: float
    ) -> None:
        """Start without blocking the running loop: the imports take 200 ms."""
        if self._phase is State.NEW:
            Errand(lambda: self.start(session, plugins, timeout)).start()
        await self._started.wait_async(STUCK)

    def _start(
        self, session: FlagSession, plugins: Plugins, timeout: float | None
    ) -> None:
        settings, platform = self.settings, plugins.platform
        app_name = settings.app_name or platform.function_name or "serverless-flags"
        backend = self._backend = open_backend(settings, app_name)
        self._warn_about_url()
        refresher, flusher = self._prepare(session, plugins, backend)
        asked = None if settings.snapshot else self._ask()
        client = backend.load()
        if isinstance(client, StateClient):
            refresher.adopt(client)
            flusher.adopt(client)
            if not self._take_snapshot(backend, refresher):
                self._await_flags(refresher, asked or self._ask(), timeout)
        self.client = client
        self.duties = Duties(
            refresher,
            flusher,
            settings,
            self.clock,
            goes_on=platform.runs_between_invocations,
        )

    def _prepare(
        self, session: FlagSession, plugins: Plugins, backend: Backend
    ) -> tuple[Refresher, Flusher]:
        refresher = self.refresher = Refresher(
            backend.upstream,
            _freshness_of(self.settings),
            request_timeout=self.settings.request_timeout,
            clock=self.clock,
            reporter=self.reporter,
            observe=lambda outcome, s: plugins.after_refresh(session, outcome, s),
            count=backend.count_flags,
        )
        flusher = self.flusher = Flusher(
            backend.upstream,
            flush_timeout=self.settings.flush_timeout,
            request_timeout=self.settings.request_timeout,
            clock=self.clock,
            reporter=self.reporter,
            observe=lambda outcome, s: plugins.after_flush(session, outcome, s),
        )
        flusher.interval = self.flush_interval
        if self._heritage is not None:
            refresher.inherit(self._heritage)
        return refresher, flusher

    def _warn_about_url(self) -> None:
        settings = self.settings
        if settings.client not in UNLEASH:
            return
        if settings.url is None and settings.snapshot is None:
            self.reporter.warn(
                "url", "no url: set UNLEASH_URL; until then flags take their defaults"
            )
        elif settings.url is not None and _is_readable(settings.url):
            self.reporter.warn(
                "http", "the url is plain http: the token can be read on the way"
            )

    def _ask(self) -> Refresh | None:
        """Begin the first refresh, on a thread of its own."""
        refresher = self.refresher
        if refresher is None or self._backend is None or self._backend.upstream is None:
            return None
        refresh, mine = refresher.claim(self.clock())
        if mine:
            Errand(lambda: refresher.run(refresh)).start()
        return refresh

    def _take_snapshot(self, backend: Backend, refresher: Refresher) -> bool:
        if self.settings.snapshot is None or backend.read_snapshot is None:
            return False
        if refresher.source != "none":
            return True  # inherited flags are no older
        return refresher.take_snapshot(backend.read_snapshot(self.settings.snapshot))

    def _await_flags(
        self, refresher: Refresher, asked: Refresh | None, timeout: float | None
    ) -> None:
        if asked is None:
            return
        limit = self.settings.start_timeout if timeout is None else timeout
        if asked.wait(limit - self.clock().since(asked.began)):
            refresher.apply(asked)  # it came before there was a client to take it
            return
        self.reporter.warn(
            "refresh",
            "no flags within start_timeout (%s s): %s until they come",
            limit,
            "defaults" if refresher.source == "none" else "the last ones",
        )

    def refresh(self, timeout: float | None) -> bool:
        """Ask the server now; return whether it confirmed the flags in time."""
        asked = self._ask()
        if asked is None:
            return False
        wait = self.settings.refresh_timeout if timeout is None else timeout
        return asked.wait(wait) and asked.confirmed

    def flush(self, timeout: float | None) -> bool:
        """Send the counts; True when none is left to send."""
        flusher = self.flusher
        if flusher is None:
            return True
        answers: list[bool] = []
        limit = self.settings.request_timeout
        errand = Errand(lambda: answers.append(flusher.finish(limit))).start()
        wait = self.settings.flush_timeout if timeout is None else timeout
        return errand.wait(wait) and answers == [True]

    def terminate(self, timeout: float) -> None:
        """Flush on this thread; from now on each ending invocation flushes itself."""
        if self._phase is State.CLOSED:
            return
        if self._phase is not State.NEW:
            self._phase = State.TERMINATING
            self.terminating = True
        if self.flusher is not None:
            self.flusher.finish(timeout)

    def abandon(self) -> Heritage | None:
        """Let go of what was copied; the flags are all that a copy may go on with."""
        if self._backend is not None and self._backend.upstream is not None:
            self._backend.upstream.close()
        return self._heritage if self.refresher is None else self.refresher.heritage

    def close(self, timeout: float) -> bool:
        """Flush on this thread for the last time; True when nothing was lost."""
        if self._phase in {State.CLOSED, State.NEW}:
            self._phase = State.CLOSED
            self._started.end()
            return True
        flushed = self.flusher is None or self.flusher.finish(timeout)
        self._phase = State.CLOSED
        self.duties = None
        if self.client is not None:
            self.client = ClosedClient(self.client, self._note_lost)
        if self._backend is not None and self._backend.upstream is not None:
            self._backend.upstream.close()
        self._report_losses()
        return flushed

    def _note_lost(self) -> None:
        self.uncounted += 1
        self.reporter.warn(
            "closed", "the session is closed: flags are answered but no longer counted"
        )

    def _report_losses(self) -> None:
        """Say what the server will never have, or may not: the last log line."""
        if self.flusher is None:
            return
        self.flusher.give_up()
        counts = self.flusher.counts
        uncounted = self.uncounted + counts.uncounted
        if uncounted or counts.unknown:
            self.reporter.warn(
                "end",
                "the session has ended: %s evaluations were not counted, %s were sent"
                " and not answered",
                uncounted,
                counts.unknown,
            )


def _freshness_of(settings: Settings) -> Freshness:
    return Freshness(
        max_age=settings.max_age,
        stale_while_revalidate=settings.stale_while_revalidate,
        stale_if_error=settings.stale_if_error,
    )


def _is_readable(url: str) -> bool:
    """Whether a token on its way to ``url`` can be read by others."""
    if url.startswith("https://"):
        return False
    host = url.split("//", 1)[1].split("/", 1)[0].rsplit(":", 1)[0]
    return host not in {"localhost", "[::1]"} and not host.startswith("127.")
