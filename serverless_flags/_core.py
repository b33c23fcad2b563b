"""The answers of a session: in an invocation, outside of one, and before the start."""

from __future__ import annotations

import os
from abc import abstractmethod
from threading import get_ident
from typing import TYPE_CHECKING, Any

from serverless_flags._plugins.discovery import discover
from serverless_flags._plugins.dispatch import Plugins
from serverless_flags._process.fork import in_task, on_running_loop
from serverless_flags._process.start import app_name_of
from serverless_flags._protocols import DISABLED
from serverless_flags._status import State
from serverless_flags.exceptions import PluginError
from serverless_flags.platform import Local

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextvars import ContextVar

    from serverless_flags._invocation.scope import InvocationScope
    from serverless_flags._process.state import ProcessState
    from serverless_flags._protocols import FlagClient
    from serverless_flags._settings import Settings

OUTSIDE = (
    "a flag was asked for outside an invocation: between invocations this platform"
    " freezes the process, so refreshes and counts may be late or lost; put @flags.wrap"
    " on the function (flags.bind on what its threads run)"
)


class Answers:
    """The questions that a session answers, and what it needs for that."""

    _settings: Settings
    _scope: ContextVar[InvocationScope | None]
    _instance: ProcessState
    _plugins: Plugins | None
    _discovering: threading.RLock
    _pid: int
    _has_served: bool

    @abstractmethod
    def renew(self) -> None:
        """Begin anew in a copy of the process."""

    @abstractmethod
    def start(self, timeout: float | None = None) -> None:
        """Start the session, and wait for it."""

    @abstractmethod
    def begin_start(self) -> None:
        """Start the session in the background."""

    # -- questions -----------------------------------------------------------------
    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """
        Return whether the flag is on; UnleashClient's signature.

        The invocation's evaluation context is merged in, the caller's wins. Without an
        answer the flag is what ``fallback_function`` says, else False.
        """
        scope = self._scope.get()
        if scope is None or scope.ended:
            scope = self._outside(scope)
        if scope is not None:
            context = scope.merged(context)
        client = self._instance.client
        if client is not None:  # as `answer`, without the call
            return client.is_enabled(feature_name, context, fallback_function)
        return self.answer(feature_name, context, fallback_function)

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the flag's variant; UnleashClient's signature."""
        scope = self._scope.get()
        if scope is None or scope.ended:
            scope = self._outside(scope)
        if scope is not None:
            context = scope.merged(context)
        return self.answer_variant(feature_name, context)

    def answer(
        self, feature_name: str, context: dict[str, Any] | None, fallback: Any
    ) -> bool:
        """Return whether the flag is on in this context, which is not merged again."""
        client = self._instance.client or self._late_client()
        if client is not None:
            return client.is_enabled(feature_name, context, fallback)
        return self._default(feature_name, context, fallback)

    def answer_variant(
        self, feature_name: str, context: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Return the flag's variant in this context, which is not merged again."""
        client = self._instance.client or self._late_client()
        if client is not None:
            return client.get_variant(feature_name, context)
        return dict(DISABLED)

    def _outside(self, scope: InvocationScope | None) -> InvocationScope | None:
        """
        Look after flags and counts that no invocation looks after.

        Returns:
            The invocation whose context counts: the ended one inside tasks of its own,
            else the one around it that has not ended, if there is one.
        """
        around = None if scope is None else scope.living()
        if around is not None:
            return scope if in_task() else around
        instance = self._instance
        duties = instance.duties
        if duties is not None and duties.note_outside():
            if duties.begin_outside():
                instance.repair_connection()  # as at the end of each invocation
            self._warn_outside()
        return scope if scope is not None and in_task() else None

    def _late_client(self) -> FlagClient | None:
        """Start a session that is asked before it was started, where that is right."""
        instance, plugins = self._current(), self.usable_plugins
        why = self._why_not_start(instance, plugins)
        if why is not None:
            instance.problem_log.warn("late", "flags take their defaults: %s", why)
        elif instance.may_start:
            self.start()
            if self._scope.get() is None:
                self._warn_outside()
        if instance.client is None:
            instance.uncounted.add(1)
        return instance.client

    def _warn_outside(self) -> None:
        plugins = self._plugins or self.usable_plugins
        if not plugins.platform.runs_between_invocations:
            self._instance.problem_log.warn("outside", OUTSIDE)

    def _why_not_start(self, instance: ProcessState, plugins: Plugins) -> str | None:
        if instance.state is State.CLOSED:
            return "the session was closed before it was started"
        if plugins.platform.will_fork and not (self._has_served or instance.invoked):
            return "this process is going to fork; ask inside an invocation"
        if instance.must_not_wait(get_ident()):
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

        settings = self._settings
        known = {
            "appName": app_name_of(settings, self.usable_plugins),
            "environment": settings.environment,
        }
        return fallback_answer(feature_name, context, fallback, known)

    # -- what the answers need -----------------------------------------------------
    @property
    def plugins(self) -> Plugins:
        """The hooks of this session; found at the first look."""
        if self._plugins is None:
            with self._discovering:
                if self._plugins is None:
                    self._plugins = discover(self._settings)
        return self._plugins

    @property
    def usable_plugins(self) -> Plugins:
        """The hooks, or none of them where those of the settings cannot be used."""
        try:
            return self.plugins
        except PluginError as error:
            self._instance.problem_log.warn("plugins", "%s; going on without it", error)
            return Plugins(Local(), ())

    def _current(self) -> ProcessState:
        """Return this process's instance, a new one after a fork Python did not see."""
        if os.getpid() != self._pid:
            self.renew()
        return self._instance
