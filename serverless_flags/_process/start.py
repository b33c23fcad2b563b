"""The start of a session: it makes what talks to the server and loads the flags."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask, run_bounded
from serverless_flags._protocols import keeps_state
from serverless_flags._settings import UNLEASH
from serverless_flags._settings.server_checks import is_plain_http
from serverless_flags._work.due import DueWork
from serverless_flags._work.flush import Flusher
from serverless_flags._work.freshness import Freshness
from serverless_flags._work.refresh import Refresher
from serverless_flags.clients import open_backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._clock import Instant
    from serverless_flags._log import ProblemLog
    from serverless_flags._plugins.dispatch import Plugins
    from serverless_flags._protocols import Backend
    from serverless_flags._settings import Settings
    from serverless_flags._work.flag_request import InheritedFlags, Refresh
    from serverless_flags.types import FlagClient


class ServerSync:
    """What exchanges flags and counts with the server, from the start onwards."""

    __slots__ = ("backend", "flusher", "refresher")

    def __init__(
        self, backend: Backend, refresher: Refresher, flusher: Flusher
    ) -> None:
        self.backend, self.refresher, self.flusher = backend, refresher, flusher

    def set_flush_interval(self, seconds: float) -> None:
        """Put an interval into effect: for the flushes, and for the server to show."""
        self.flusher.interval = seconds
        if self.backend.upstream is not None:
            self.backend.upstream.flush_interval = seconds

    def begin_refresh(self, requested: Instant) -> Refresh | None:
        """Begin a refresh in the background; return None where there is no server."""
        if self.backend.upstream is None:
            return None
        refresher = self.refresher

        def run(refresh: Refresh) -> BackgroundTask:
            return BackgroundTask(lambda: refresher.run(refresh)).start()

        return refresher.begin(requested, run)[0]

    def flush(self, request_timeout: float, max_wait: float) -> bool:
        """Flush in the background; return whether all was sent within ``max_wait``."""
        sent: list[bool] = []
        task = BackgroundTask(lambda: sent.append(self.flusher.finish(request_timeout)))
        return task.start().wait(max_wait) and sent == [True]

    def flush_before_end(self, timeout: float) -> bool:
        """Flush even while the interpreter exits; return whether all was sent."""
        sent = [False]
        run_bounded(
            lambda exiting: sent.append(self.flusher.finish(timeout, exiting=exiting)),
            timeout,
        )
        return sent[-1]

    def disconnect(self) -> None:
        """Close the connections; requests under way continue."""
        if self.backend.upstream is not None:
            self.backend.upstream.close()

    def shut_down(self) -> None:
        """Ignore later answers, and record the counts that will not be sent."""
        self.disconnect()
        self.refresher.close()
        self.flusher.give_up()


def app_name_of(settings: Settings, plugins: Plugins) -> str:
    """Return the setting ``app_name``, or the platform's name of the function."""
    return settings.app_name or plugins.platform.function_name or "serverless-flags"


class StartAttempt:
    """
    One attempt to start a session in one process.

    Args:
        plugins: the session's.
        settings: the session's.
        clock: returns both clocks.
        problem_log: the session's, in this process.
        timeout: seconds to wait for the network; default ``start_timeout``.
    """

    __slots__ = (
        "_clock", "_plugins", "_problem_log", "_requested", "_settings", "_timeout",
    )  # fmt: skip

    def __init__(
        self,
        plugins: Plugins,
        settings: Settings,
        clock: Callable[[], Instant],
        problem_log: ProblemLog,
        timeout: float | None,
    ) -> None:
        self._plugins, self._settings = plugins, settings
        self._clock, self._problem_log = clock, problem_log
        self._requested = clock()
        self._timeout = settings.start_timeout if timeout is None else timeout

    def make_server_sync(self, inherited_flags: InheritedFlags | None) -> ServerSync:
        """Make what talks to the server, without a request."""
        plugins, settings = self._plugins, self._settings
        backend = open_backend(settings, app_name_of(settings, plugins))
        upstream = backend.upstream
        refresher = Refresher(
            upstream,
            Freshness(
                max_age=settings.max_age,
                stale_while_revalidate=settings.stale_while_revalidate,
                stale_if_error=settings.stale_if_error,
            ),
            request_timeout=settings.request_timeout,
            freezes=not plugins.platform.runs_between_invocations,
            clock=self._clock,
            problem_log=self._problem_log,
            observe=plugins.after_refresh,
        )
        flusher = Flusher(
            upstream,
            flush_timeout=settings.flush_timeout,
            request_timeout=settings.request_timeout,
            clock=self._clock,
            problem_log=self._problem_log,
            observe=plugins.after_flush,
        )
        if inherited_flags is not None:
            refresher.inherit(inherited_flags)
        return ServerSync(backend, refresher, flusher)

    def load_client(self, sync: ServerSync) -> tuple[FlagClient, DueWork]:
        """Load the client while the network works, then give it flags."""
        settings = self._settings
        refresher, flusher = sync.refresher, sync.flusher
        refresh = None if settings.snapshot else sync.begin_refresh(self._requested)
        client = sync.backend.load()
        if keeps_state(client):
            refresher.adopt(client)
            flusher.adopt(client)
            if not _take_snapshot(settings, sync):
                refresh = refresh or sync.begin_refresh(self._requested)
                if refresh is not None:
                    self._await_flags(refresher, refresh)
        due_work = DueWork(
            refresher,
            flusher,
            settings,
            self._clock,
            runs_between_invocations=self._plugins.platform.runs_between_invocations,
        )
        return client, due_work

    def _await_flags(self, refresher: Refresher, refresh: Refresh) -> None:
        waited = max(0.0, self._clock().since(refresh.sent))
        if refresh.wait(self._timeout - waited):
            refresher.apply(refresh)  # it may have ended before the client was loaded
            return
        served = "defaults" if refresher.source == "none" else "the last flags"
        message = "no flags within start_timeout (%s s): serving %s until they arrive"
        if refresher.source == "none":
            error = message % (self._timeout, served)
            refresher.last_error = refresher.last_error or error
        self._problem_log.warn("refresh", message, self._timeout, served)

    def warn_about_settings(self) -> str | None:
        """Warn of settings that cost flags or secrets; return why flags are missing."""
        platform, settings = self._plugins.platform, self._settings
        problem_log = self._problem_log
        if settings.client == "memory" and platform.name != "local":
            problem_log.warn(
                "memory",
                "client='memory' on %s: flags come from memory and no server is asked;"
                " unset SERVERLESS_FLAGS_CLIENT, or pass client='unleash'",
                platform.name,
            )
        if settings.client not in UNLEASH:
            return None
        if settings.url is None:
            if settings.snapshot is not None:
                return None
            why = "no url: set UNLEASH_URL; until then flags take their defaults"
            problem_log.warn("url", "%s", why)
            return why
        if is_plain_http(settings.url):
            problem_log.warn(
                "http",
                "the url is plain http: the token is sent unencrypted; use https",
            )
        return None


def _take_snapshot(settings: Settings, sync: ServerSync) -> bool:
    backend, refresher = sync.backend, sync.refresher
    if settings.snapshot is None or backend.read_snapshot is None:
        return False
    if refresher.source != "none":
        return True  # inherited flags are no older
    path = settings.snapshot
    return refresher.take_snapshot(backend.read_snapshot(path), path)


# -- several sessions with the same settings -------------------------------------------
_started: dict[tuple[object, ...], int] = {}
"""How many sessions are open, by the settings that distinguish them."""
_started_in = 0
"""The process that they were started in."""


def count_start(settings: Settings, problem_log: ProblemLog) -> None:
    """Warn once when two sessions with the same settings are open."""
    global _started_in  # noqa: PLW0603  reason: a forked process counts from zero
    if _started_in != os.getpid():
        _started_in = os.getpid()
        _started.clear()
    key = _key(settings)
    _started[key] = _started.get(key, 0) + 1
    if _started[key] == 2:  # noqa: PLR2004  reason: the docstring names the number
        problem_log.warn(
            "sessions",
            "a second FlagSession with the same settings was started: each requests all"
            " flags; create one session at module level, outside your function, and use"
            " it in every call",
        )


def count_close(settings: Settings) -> None:
    """Note that a session was closed, so that another one may be started."""
    key = _key(settings)
    if _started_in == os.getpid() and _started.get(key, 0) > 0:
        _started[key] -= 1


def _key(settings: Settings) -> tuple[object, ...]:
    client = (
        settings.client if isinstance(settings.client, str) else id(settings.client)
    )
    return (
        settings.url,
        settings.app_name,
        settings.environment,
        settings.project_name,
        settings.snapshot,
        client,
    )
