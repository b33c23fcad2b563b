"""What `FlagSession` and its invocations share: settings, process state, plugins."""

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
from serverless_flags._state import State
from serverless_flags.exceptions import PluginError
from serverless_flags.platform import Local

if TYPE_CHECKING:  # the protocol too: defining one takes 0.1 ms of a cold start
    from typing import Protocol

    from typing_extensions import Self

    from serverless_flags._settings import Settings
    from serverless_flags.types import FlagClient, Variant

    class CurrentInvocation(Protocol):
        """The invocation that the current context variable holds."""

        ended: bool

        def merged(self, context: dict[str, Any] | None) -> dict[str, Any]:
            """Return its evaluation context, overridden by the caller's."""

        def innermost_open(self) -> Self | None:
            """Return it, or the innermost invocation around it, that has not ended."""


OUTSIDE_WARNING = (
    "a flag was evaluated outside an invocation: between invocations this platform"
    " freezes the process, so refreshes and counts may be late or lost; decorate your"
    " function with @flags.wrap (and use flags.bind for functions that its threads run)"
)


class Core:
    """
    The state of one session, behind the facade `FlagSession`.

    It refers to the facade weakly: without a reference cycle, a session that your code
    drops is closed at once. A running invocation keeps the facade alive.

    Args:
        session: the facade, which is passed to plugins.
        settings: validated.
    """

    def __init__(self, session: object, settings: Settings) -> None:
        self.settings = settings
        self.scope: ContextVar[Any] = ContextVar("serverless_flags_scope", default=None)
        """The current invocation, an `InvocationScope`; None outside invocations."""
        self.pid = os.getpid()
        """The id of the process that `process` belongs to."""
        self.process = ProcessState(settings)
        self.known_plugins: Plugins | None = None
        """The plugins; None until `plugins` has discovered them."""
        self._session = weakref.ref(session)
        self._discovering = threading.RLock()
        self._has_served = False
        self._finalizer = when_collected(session, self.process)

    # -- the process ---------------------------------------------------------------
    def current(self) -> ProcessState:
        """Return the state of this process; a new one after a fork outside Python."""
        if os.getpid() != self.pid:
            self.renew()
        return self.process

    def renew(self) -> None:
        """Start afresh in a copy of the process, keeping the flags and their age."""
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
        """The plugins of this session, discovered on first use."""
        if self.known_plugins is None:
            with self._discovering:
                if self.known_plugins is None:
                    self.known_plugins = discover(self.settings, self._session)
        return self.known_plugins

    @property
    def usable_plugins(self) -> Plugins:
        """The plugins, or none where a plugin of the settings cannot be used."""
        try:
            return self.plugins
        except PluginError as error:
            problem_log = self.process.problem_log
            problem_log.warn("plugins", "%s; going on without it", error)
            return Plugins(Local(), (), self._session)

    def grace(self, timeout: float | None) -> float:
        """Return ``timeout`` or, for None, the platform's grace; both in seconds."""
        if timeout is not None:
            return timeout
        return self.usable_plugins.platform.shutdown_grace

    def start(self, timeout: float | None = None) -> None:
        """Start the session and wait for it; see `FlagSession.start`."""
        self.current().start(self.usable_plugins, timeout)

    def begin_start(self) -> None:
        """Begin to start in the background, unless a start is under way."""
        self.current().begin_start(self.usable_plugins, None)

    # -- evaluation ----------------------------------------------------------------
    def is_enabled(
        self, feature_name: str, context: dict[str, Any] | None, fallback: Any
    ) -> bool:
        """Return whether the flag is on in ``context``, which is already merged."""
        client = self.process.client or self._client_of_late_start()
        if client is not None:
            return client.is_enabled(feature_name, context, fallback)
        return self._default(feature_name, context, fallback)

    def get_variant(self, feature_name: str, context: dict[str, Any] | None) -> Variant:
        """Return the flag's variant in ``context``, which is already merged."""
        client = self.process.client or self._client_of_late_start()
        if client is not None:
            return cast("Variant", client.get_variant(feature_name, context))
        return DISABLED.copy()

    def scope_outside(
        self, scope: CurrentInvocation | None
    ) -> CurrentInvocation | None:
        """
        Return the invocation whose context an evaluation outside invocations uses.

        Where no invocation is open, it also begins the refresh or flush that is due.

        Args:
            scope: the ended invocation that the context variable holds, or None.

        Returns:
            ``scope`` itself in an asyncio task that has outlived it, else the innermost
            invocation around it that is still open, else None.
        """
        around = None if scope is None else scope.innermost_open()
        if around is not None:
            return scope if in_task() else around
        process = self.process
        due_work = process.due_work
        if due_work is not None and due_work.note_outside():
            if due_work.begin_outside():
                process.repair_signals()  # as at the end of each invocation
            self._warn_outside()
        return scope if scope is not None and in_task() else None

    def _client_of_late_start(self) -> FlagClient | None:
        """Start the session for this evaluation, where a start is possible here."""
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
            self.process.problem_log.warn("outside", OUTSIDE_WARNING)

    def _why_not_start(self, process: ProcessState, plugins: Plugins) -> str | None:
        if process.state is State.CLOSED:
            return "the session was closed before it was started"
        if plugins.platform.will_fork and not (self._has_served or process.invoked):
            return "this process is going to fork; evaluate flags inside an invocation"
        if process.must_not_wait(get_ident()):
            return "this thread is starting the session; evaluate flags after the start"
        if on_running_loop():
            self.begin_start()
            return (
                "the session starts in the background because waiting for it would"
                " block the running event loop; evaluate flags inside a wrapped"
                " function"
            )
        return None

    def _default(
        self, feature_name: str, context: dict[str, Any] | None, fallback: Any
    ) -> bool:
        """Return the result of the fallback function, or False without one."""
        if fallback is None:
            return False
        from serverless_flags.clients._fallback import fallback_answer  # rarely needed

        settings = self.settings
        known = {
            "appName": app_name_of(settings, self.usable_plugins),
            "environment": settings.environment,
        }
        return fallback_answer(feature_name, context, fallback, known)
