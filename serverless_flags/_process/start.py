"""What a start makes of the settings, and its warnings about them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from serverless_flags._background import BackgroundTask
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


class StartInputs:
    """What a start works with; it belongs to one session in one process."""

    __slots__ = ("clock", "plugins", "problem_log", "settings")

    def __init__(
        self,
        plugins: Plugins,
        settings: Settings,
        clock: Callable[[], Instant],
        problem_log: ProblemLog,
    ) -> None:
        self.plugins, self.settings = plugins, settings
        self.clock, self.problem_log = clock, problem_log


class ServerSync:
    """What brings flags and counts; there from the beginning of a start."""

    __slots__ = ("backend", "flusher", "refresher")

    def __init__(
        self, backend: Backend, refresher: Refresher, flusher: Flusher
    ) -> None:
        self.backend, self.refresher, self.flusher = backend, refresher, flusher

    def disconnect(self) -> None:
        """Close the connections; requests under way go on."""
        if self.backend.upstream is not None:
            self.backend.upstream.close()

    def end(self) -> None:
        """Take no answer any more, and book what will not be sent."""
        self.disconnect()
        self.refresher.close()
        self.flusher.give_up()


def app_name_of(settings: Settings, plugins: Plugins) -> str:
    """Return the application's name: as set, or as the platform calls the function."""
    return settings.app_name or plugins.platform.function_name or "serverless-flags"


def make_server_sync(
    inputs: StartInputs, inherited_flags: InheritedFlags | None
) -> ServerSync:
    """Make what asks the server, without asking it yet."""
    plugins, settings = inputs.plugins, inputs.settings
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
        clock=inputs.clock,
        problem_log=inputs.problem_log,
        observe=plugins.after_refresh,
        count=backend.count_flags,
    )
    flusher = Flusher(
        upstream,
        flush_timeout=settings.flush_timeout,
        request_timeout=settings.request_timeout,
        clock=inputs.clock,
        problem_log=inputs.problem_log,
        observe=plugins.after_flush,
    )
    if inherited_flags is not None:
        refresher.inherit(inherited_flags)
    return ServerSync(backend, refresher, flusher)


def bring_flags(
    inputs: StartInputs, parts: ServerSync, moment: Instant, timeout: float | None
) -> tuple[FlagClient, DueWork]:
    """
    Load the client while the network works, then give it flags.

    Args:
        inputs: what the start works with.
        parts: made by `make_server_sync`.
        moment: when the start was asked for.
        timeout: seconds to wait for the network; default ``start_timeout``.
    """
    settings = inputs.settings
    backend, refresher, flusher = parts.backend, parts.refresher, parts.flusher
    asked = None if settings.snapshot else ask(parts, moment)
    client = backend.load()
    if keeps_state(client):
        refresher.adopt(client)
        flusher.adopt(client)
        if not _take_snapshot(settings, parts):
            asked = asked or ask(parts, moment)
            limit = settings.start_timeout if timeout is None else timeout
            if asked is not None:
                _await_flags(inputs, refresher, asked, limit)
    due_work = DueWork(
        refresher,
        flusher,
        settings,
        inputs.clock,
        runs_between_invocations=inputs.plugins.platform.runs_between_invocations,
    )
    return client, due_work


def ask(parts: ServerSync, moment: Instant) -> Refresh | None:
    """Begin a refresh in the background; None where there is no server."""
    if parts.backend.upstream is None:
        return None
    refresher = parts.refresher

    def run(refresh: Refresh) -> BackgroundTask:
        return BackgroundTask(lambda: refresher.run(refresh)).start()

    return refresher.begin(moment, run)[0]


def _take_snapshot(settings: Settings, parts: ServerSync) -> bool:
    backend, refresher = parts.backend, parts.refresher
    if settings.snapshot is None or backend.read_snapshot is None:
        return False
    if refresher.source != "none":
        return True  # inherited flags are no older
    path = settings.snapshot
    return refresher.take_snapshot(backend.read_snapshot(path), path)


def _await_flags(
    inputs: StartInputs, refresher: Refresher, asked: Refresh, limit: float
) -> None:
    waited = max(0.0, inputs.clock().since(asked.sent))
    if asked.wait(limit - waited):
        refresher.apply(asked)  # it came before there was a client to take it
        return
    served = "defaults" if refresher.source == "none" else "the last ones"
    message = "no flags within start_timeout (%s s): %s until they come"
    if refresher.source == "none":
        refresher.last_error = refresher.last_error or message % (limit, served)
    inputs.problem_log.warn("refresh", message, limit, served)


# -- what cannot be meant ----------------------------------------------------------
_started: dict[tuple[object, ...], int] = {}
_started_in = 0


def warn_about_settings(inputs: StartInputs) -> str | None:
    """Warn about settings that cost flags or secrets; return why there are none."""
    plugins, settings, problem_log = inputs.plugins, inputs.settings, inputs.problem_log
    if settings.client == "memory" and plugins.platform.name != "local":
        problem_log.warn(
            "memory",
            "client='memory' on %s: flags are answered from memory and no server is"
            " asked; unset SERVERLESS_FLAGS_CLIENT, or pass client='unleash'",
            plugins.platform.name,
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
            "the url is plain http: the token can be read on the way; use https",
        )
    return None


def count_start(settings: Settings, problem_log: ProblemLog) -> None:
    """Warn once of several sessions with the same settings that are not closed."""
    global _started_in  # noqa: PLW0603  reason: a fork begins to count anew
    if _started_in != os.getpid():
        _started_in = os.getpid()
        _started.clear()
    key = _key(settings)
    _started[key] = _started.get(key, 0) + 1
    if _started[key] == 2:  # noqa: PLR2004  reason: the first that is one too many
        problem_log.warn(
            "sessions",
            "a second FlagSession with the same settings was started: each asks for all"
            " flags anew; make one at module level, outside of the function, and let"
            " every call use it",
        )


def count_close(settings: Settings) -> None:
    """Note that a session was closed, so that the next is none too many."""
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
