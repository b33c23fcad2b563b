"""What a session and its invocations share: settings, process state, plugins."""

from __future__ import annotations

import os
import threading
import weakref
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

from serverless_flags._background import in_task, on_running_loop
from serverless_flags._plugins.discovery import discover
from serverless_flags._plugins.dispatch import Plugins
from serverless_flags._process.collected import when_collected
from serverless_flags._process.start import app_name_of
from serverless_flags._process.state import ProcessState
from serverless_flags._protocols import DISABLED
from serverless_flags._status import State
from serverless_flags.exceptions import PluginError
from serverless_flags.platform import Local

if TYPE_CHECKING:  # with its protocol, which takes 0.1 ms to define
    from typing import Protocol

    from typing_extensions import Self

    from serverless_flags._settings import Settings
    from serverless_flags.types import FlagClient, Variant

    class CurrentInvocation(Protocol):
        """The invocation that a context is in."""

        ended: bool

        def merged(self, context: dict[str, Any] | None) -> dict[str, Any]:
            """Return its evaluation context with the caller's on top."""

        def living(self) -> Self | None:
            """Return the innermost one around it that has not ended."""


OUTSIDE = (
    "a flag was asked for outside an invocation: between invocations this platform"
    " freezes the process, so refreshes and counts may be late or lost; put @flags.wrap"
    " on the function (flags.bind on what its threads run)"
)


class Core:
    """
    One session behind its facade.

    It refers to the facade weakly, so that the two are no cycle: a session that is
    dropped is closed at once. Whoever runs an invocation keeps the facade.

    Args:
        session: the facade; plugins get it.
        settings: validated.
    """

    def __init__(self, session: object, settings: Settings) -> None:
        self.settings = settings
        self.scope: ContextVar[Any] = ContextVar("serverless_flags_scope", default=None)
        """The invocation that a context is in, an `InvocationScope`; None outside."""
        self.pid = os.getpid()
        """The process that `process` belongs to."""
        self.process = ProcessState(settings)
        self.known_plugins: Plugins | None = None
        """The plugins, once they have been looked for."""
        self._session = weakref.ref(session)
        self._discovering = threading.RLock()
        self._has_served = False
        self._finalizer = when_collected(session, self.process)

    # -- the process ---------------------------------------------------------------
    def current(self) -> ProcessState:
        """Return this process's state, a new one after a fork Python did not see."""
        if os.getpid() != self.pid:
            self.renew()
        return self.process

    def renew(self) -> None:
        """Begin anew in a copy of the process, with the flags as old as they are."""
        self.pid = os.getpid()
        self._discovering = threading.RLock()
        self._has_served = self._has_served or self.process.invoked
        self._finalizer.detach()
        self.process = ProcessState(self.settings, self.process.abandon())
        session = self._session()
        if session is not None:
            self._finalizer = when_collected(session, self.process)

    @property
    def plugins(self) -> Plugins:
        """The plugins of this session; found at the first look."""
        if self.known_plugins is None:
            with self._discovering:
                if self.known_plugins is None:
                    self.known_plugins = discover(self.settings, self._session)
        return self.known_plugins

    @property
    def usable_plugins(self) -> Plugins:
        """The plugins, or none of them where those of the settings cannot be used."""
        try:
            return self.plugins
        except PluginError as error:
            problem_log = self.process.problem_log
            problem_log.warn("plugins", "%s; going on without it", error)
            return Plugins(Local(), (), self._session)

    def start(self, timeout: float | None = None) -> None:
        """Start the session and wait for it; `FlagSession.start`."""
        self.current().start(self.usable_plugins, timeout)

    def begin_start(self) -> None:
        """Start in the background, unless that was begun; nothing waits for it."""
        self.current().begin_start(self.usable_plugins, None)

    # -- questions -----------------------------------------------------------------
    def answer(
        self, feature_name: str, context: dict[str, Any] | None, fallback: Any
    ) -> bool:
        """Return whether the flag is on in this context, which is not merged again."""
        client = self.process.client or self._late_client()
        if client is not None:
            return client.is_enabled(feature_name, context, fallback)
        return self._default(feature_name, context, fallback)

    def answer_variant(
        self, feature_name: str, context: dict[str, Any] | None
    ) -> Variant:
        """Return the flag's variant in this context, which is not merged again."""
        client = self.process.client or self._late_client()
        if client is not None:
            return cast("Variant", client.get_variant(feature_name, context))
        return DISABLED.copy()

    def outside(self, scope: CurrentInvocation | None) -> CurrentInvocation | None:
        """
        Look after flags and counts that no invocation looks after.

        Returns:
            The invocation whose context counts: the ended one inside tasks of its own,
            else the one around it that has not ended, if there is one.
        """
        around = None if scope is None else scope.living()
        if around is not None:
            return scope if in_task() else around
        process = self.process
        due_work = process.due_work
        if due_work is not None and due_work.note_outside():
            if due_work.begin_outside():
                process.repair_signals()  # as at the end of each invocation
            self._warn_outside()
        return scope if scope is not None and in_task() else None

    def _late_client(self) -> FlagClient | None:
        """Start a session that is asked before it was started, where that is right."""
        process, plugins = self.current(), self.usable_plugins
        why = self._why_not_start(process, plugins)
        if why is not None:
            process.problem_log.warn("late", "flags take their defaults: %s", why)
        elif process.may_start:
            self.start()
            if self.scope.get() is None:
                self._warn_outside()
        if process.client is None:
            process.uncounted.add(1)
        return process.client

    def _warn_outside(self) -> None:
        plugins = self.known_plugins or self.usable_plugins
        if not plugins.platform.runs_between_invocations:
            self.process.problem_log.warn("outside", OUTSIDE)

    def _why_not_start(self, process: ProcessState, plugins: Plugins) -> str | None:
        if process.state is State.CLOSED:
            return "the session was closed before it was started"
        if plugins.platform.will_fork and not (self._has_served or process.invoked):
            return "this process is going to fork; ask inside an invocation"
        if process.must_not_wait(get_ident()):
            return "this thread is starting the session; ask when it has started"
        if on_running_loop():
            self.begin_start()
            return (
                "the session starts in the background, for a start would block the"
                " running event loop; ask inside a wrapped function"
            )
        return None

    def _default(
        self, feature_name: str, context: dict[str, Any] | None, fallback: Any
    ) -> bool:
        """Return what a flag is without a client: what a fallback says, or False."""
        if fallback is None:
            return False
        from serverless_flags.clients._fallback import fallback_answer  # rare

        settings = self.settings
        known = {
            "appName": app_name_of(settings, self.usable_plugins),
            "environment": settings.environment,
        }
        return fallback_answer(feature_name, context, fallback, known)
