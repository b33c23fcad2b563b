"""FlagSession, the facade of this package: it starts, refreshes, flushes and closes."""

from __future__ import annotations

import warnings
import weakref
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from serverless_flags._core import Core
from serverless_flags._fork import renew_after_fork
from serverless_flags._invocation import wrap
from serverless_flags._invocation.scope import InvocationScope
from serverless_flags._settings import load_settings
from serverless_flags._settings.checks import capped
from serverless_flags._state import State

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._clock import Instant
    from serverless_flags._status import Status
    from serverless_flags.clients.impression import Impression
    from serverless_flags.platform import Invocation
    from serverless_flags.types import ActiveInvocation, FlagClient, Variant

P = ParamSpec("P")
R = TypeVar("R")

_NOT_GIVEN: Any = object()
"""The default of `FlagSession.wrap`'s argument, which ``@flags.wrap()`` leaves out."""


class FlagSession:
    """
    Unleash feature flags for the lifetime of one function instance.

    Creating a session validates its settings; it imports no SDK and opens no
    connection. The first invocation starts it, or the first `wrap` on platforms that
    allow network requests while your module is imported.

    Args:
        url: the URL of Unleash's API, ending in ``/api``; ``UNLEASH_URL``. Without it
            every flag has its default, or its value in ``snapshot``.
        api_token: a backend token, or a callable that returns one and is called again
            after a 401 or 403; ``UNLEASH_API_TOKEN``.
        app_name: default: the platform's function name; ``UNLEASH_APP_NAME``.
        environment: the context field; the token selects Unleash's environment.
        project_name: request the flags of this project only.
        instance_id: default: unique for each process.
        client: ``unleash``, ``lean``, ``memory``, or an object with ``is_enabled`` and
            ``get_variant``.
        snapshot: path of a JSON file with the body of ``/api/client/features``, served
            until the server has answered.
        max_age: seconds for which flags are fresh.
        stale_while_revalidate: further seconds for which they are served while a
            refresh runs in the background.
        stale_if_error: seconds past ``max_age`` after which flags are no longer served
            when the server fails; default: no limit.
        flush_interval: seconds between flushes of the counts; 0: after every
            invocation. Default: 60, or 0 where the platform sends no shutdown signal.
        start_timeout: seconds that a start may wait for the network.
        refresh_timeout: seconds that an invocation may wait for a refresh.
        flush_timeout: seconds that an invocation may wait for a flush.
        request_timeout: seconds that a request may take in all.
        platform: the platform's name, instead of detecting it.
        plugins: plugin objects or dotted names of modules.
        strategies: Unleash custom strategies by name.
        on_impression: called with each evaluation of a flag that has impression data
            enabled.
        register: register this application with the server after the first flush.
            Without it the counts alone make the application known there, without its
            strategies and SDK version.
        custom_headers: further headers of each request to the server, in the form that
            UnleashClient accepts: a mapping of names to ASCII strings. Never logged.
        context: called with the invocation, returns its evaluation context in place of
            the adapter's.
        clock: for tests; returns an `Instant` of both clocks.

    Raises:
        ConfigurationError: when a setting is malformed; the message says how to correct
            it.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_token: str | Callable[[], str] | None = None,
        app_name: str | None = None,
        environment: str | None = None,
        project_name: str | None = None,
        instance_id: str | None = None,
        client: Literal["unleash", "lean", "memory"] | FlagClient | None = None,
        snapshot: str | os.PathLike[str] | None = None,
        max_age: float | None = None,
        stale_while_revalidate: float | None = None,
        stale_if_error: float | None = None,
        flush_interval: float | None = None,
        start_timeout: float | None = None,
        refresh_timeout: float | None = None,
        flush_timeout: float | None = None,
        request_timeout: float | None = None,
        platform: str | None = None,
        plugins: Sequence[object] | None = None,
        strategies: Mapping[str, Any] | None = None,
        on_impression: Callable[[Impression], object] | None = None,
        register: bool | None = None,
        custom_headers: Mapping[str, str] | None = None,
        context: Callable[[Invocation], Mapping[str, Any]] | None = None,
        clock: Callable[[], Instant] | None = None,
    ) -> None:
        self._core = Core(self, load_settings(locals()))  # parameters are settings
        self._wrapped: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()
        renew_after_fork(self)

    # -- lifecycle -----------------------------------------------------------------
    def start(self, timeout: float | None = None) -> None:
        """
        Import the client and request the flags; only the first call in a process does.

        A server that fails raises nothing here. ``timeout`` (seconds, default
        ``start_timeout``) limits the wait for the network; imports come on top.
        """
        self._core.start(capped(timeout))

    def refresh(self, timeout: float | None = None) -> bool:
        """
        Request the flags from the server now, whatever their age.

        Returns:
            True when the server confirmed them within ``timeout`` seconds (default
            ``refresh_timeout``); after that the request continues in the background.
        """
        self.start()
        return self._core.current().refresh(capped(timeout))

    def flush(self, timeout: float | None = None) -> bool:
        """
        Send the counts.

        Returns:
            True when the server accepted them within ``timeout`` seconds (default
            ``flush_timeout``), or there was nothing to send.
        """
        return self._core.current().flush(capped(timeout))

    def terminate(self, timeout: float | None = None) -> None:
        """
        Flush because the platform announced the end of the instance; for adapters.

        Blocks for at most ``timeout`` seconds (default: the platform's
        ``shutdown_grace``). Later invocations still get their flags, and each of them
        ends with a flush.
        """
        self._core.current().terminate(self._core.grace(capped(timeout)))

    def close(self, timeout: float | None = None) -> bool:
        """
        Flush for the last time; idempotent, from any thread.

        Returns:
            True when no counts were left unsent.
        """
        process = self._core.current()
        before = process.state
        flushed = process.close(self._core.grace(capped(timeout)))
        plugins = self._core.known_plugins
        if plugins is not None and before not in {State.NEW, State.CLOSED}:
            reason = "signal" if before is State.TERMINATING else "close"
            plugins.disconnect_instance(reason)
        return flushed

    def renew(self) -> None:
        """
        Return to ``State.NEW``, for adapters whose platform copies a running process.

        A copy must not send the original's counts, use its connections or keep its
        ``instance_id``. It keeps the flags and their age, and its start asks the server
        whether they have changed. After a fork the session does this by itself.
        """
        self._core.renew()

    # -- evaluation ----------------------------------------------------------------
    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """
        Return whether the flag is on, with the signature of UnleashClient.

        ``context`` is merged into the invocation's evaluation context and wins over it.
        A flag that cannot be evaluated has the result of ``fallback_function``, or
        False without one.
        """
        core = self._core
        scope = core.scope.get()
        if scope is None or scope.ended:
            scope = core.scope_outside(scope)
        if scope is not None:
            context = scope.merged(context)
        client = core.process.client
        if client is not None:  # what `Core.is_enabled` does, without that call
            return client.is_enabled(feature_name, context, fallback_function)
        return core.is_enabled(feature_name, context, fallback_function)

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> Variant:
        """Return the flag's variant, with the signature of UnleashClient."""
        core = self._core
        scope = core.scope.get()
        if scope is None or scope.ended:
            scope = core.scope_outside(scope)
        if scope is not None:
            context = scope.merged(context)
        return core.get_variant(feature_name, context)

    # -- invocations ---------------------------------------------------------------
    def wrap(self, func: Callable[P, R] = _NOT_GIVEN, /) -> Callable[P, R]:
        """
        Return a function that runs each call of ``func`` as an invocation.

        Accepts any callable, ``def`` or ``async def``, and returns a real function with
        its name, signature and annotations. Wrapping a wrapper returns it unchanged.
        The invocation of a generator function lasts until its body has ended.

        Raises:
            TypeError: when ``func`` is not a function, or the platform would bypass the
                wrapper; the message says how to correct it.
            PluginError: when a plugin given in the settings cannot be used.
        """
        if func is _NOT_GIVEN:
            message = "wrap takes a function: write @flags.wrap, without parentheses"
            raise TypeError(message)
        if isinstance(func, FunctionType) and func in self._wrapped:
            return func
        if isinstance(func, staticmethod):
            return cast("Callable[P, R]", staticmethod(self.wrap(func.__func__)))
        core, plugins = self._core, self._core.plugins
        awaits = plugins.platform.awaits_handlers
        wrapper = wrap.wrapper(self, core, func, awaits=awaits)
        plugins.prepare_function(func, wrapper)
        self._wrapped.add(wrapper)
        core.current().connect(plugins, "wrap")
        if plugins.platform.starts_client_at_wrap:
            self.start()
        return wrapper

    def invocation(
        self, *args: Any, context: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> ActiveInvocation:
        """
        Return one invocation as a context manager, for ``with`` and ``async with``.

        Args:
            args: the positional arguments that the platform passed to your function.
            context: evaluation context; wins over the adapter's.
            kwargs: the keyword arguments that the platform passed to your function.
        """
        return InvocationScope(self, self._core, args, kwargs, context)

    def bind(self, func: Callable[P, R]) -> Callable[P, R]:
        """Return ``func`` for use on another thread, in this invocation's context."""
        return wrap.bound(self._core.scope, func)

    # -- inspection ----------------------------------------------------------------
    @property
    def status(self) -> Status:
        """The current state of the session, its flags and its counts."""
        from serverless_flags._process.status import status_of  # not at a cold start

        return status_of(self._core.current(), self._core.usable_plugins.platform.name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        core = self._core
        return f"<FlagSession {core.process.state.value} url={core.settings.url!r}>"

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None and core.process.state in {State.READY, State.DEGRADED}:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=2)
