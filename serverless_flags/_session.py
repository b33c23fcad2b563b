"""FlagSession: start once, refresh by age, flush in time, close once."""

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
from serverless_flags._status import State, Status

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._clock import Instant
    from serverless_flags.clients.impression import Impression
    from serverless_flags.platform import Invocation
    from serverless_flags.types import ActiveInvocation, FlagClient, Variant

P = ParamSpec("P")
R = TypeVar("R")

_NOT_GIVEN: Any = object()
"""What `FlagSession.wrap` gets where it is written with parentheses."""


class FlagSession:
    """
    Unleash feature flags for the life of one function instance.

    Making one is pure: it validates settings, imports no SDK and opens nothing. The
    first invocation, or the first `wrap` where the platform allows it, starts it.

    Args:
        url: Unleash's API, ending in ``/api``; ``UNLEASH_URL``. Without it flags take
            their defaults, or those of ``snapshot``.
        api_token: a backend token, or a callable that returns one and is called again
            after a 401 or 403; ``UNLEASH_API_TOKEN``.
        app_name: default: the platform's function name; ``UNLEASH_APP_NAME``.
        environment: the context field; the token selects Unleash's environment.
        project_name: ask for the flags of one project only.
        instance_id: default: unique for each process.
        client: ``unleash``, ``lean``, ``memory``, or an object with ``is_enabled`` and
            ``get_variant``.
        snapshot: path of a JSON file with the body of ``/api/client/features``, served
            until the server has answered.
        max_age: seconds up to which flags are fresh.
        stale_while_revalidate: further seconds in which they are served while a
            refresh runs in parallel.
        stale_if_error: seconds past ``max_age`` after which flags are no longer served
            when the server fails; default: no limit.
        flush_interval: seconds between flushes of the counts; 0: after every
            invocation. Default: 60, or 0 where the platform does not tell of the end.
        start_timeout: seconds that a start may wait for the network.
        refresh_timeout: seconds that an invocation may wait for a refresh.
        flush_timeout: seconds that an invocation may wait for a flush.
        request_timeout: seconds that a request itself may live.
        platform: the platform's name, instead of detection.
        plugins: plugin objects or dotted names of modules.
        strategies: Unleash custom strategies by name.
        on_impression: called with each evaluation of a flag with impression data.
        register: tell the server of this application after the first flush; it shows
            by its counts alone, without its strategies and the version.
        custom_headers: further headers of each request to the server, as UnleashClient
            takes them: a mapping of names to ASCII texts. Never logged.
        context: called with the invocation, returns its evaluation context in place of
            the adapter's.
        clock: for tests: returns both clocks.

    Raises:
        ConfigurationError: when a setting is malformed; the message names the cure.
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
        given = dict(locals())
        del given["self"]
        self._core = Core(self, load_settings(given))
        self._wrapped: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()
        renew_after_fork(self)

    # -- the life of the instance --------------------------------------------------
    def start(self, timeout: float | None = None) -> None:
        """
        Import the client and ask for the flags; once per process, whoever comes first.

        Never raises for a bad server. ``timeout`` (default ``start_timeout``) bounds
        the waiting for the network; imports are outside it.
        """
        self._core.start(capped(timeout))

    def refresh(self, timeout: float | None = None) -> bool:
        """
        Ask the server for the flags now, whatever their age.

        Returns:
            True when it confirmed them within ``timeout`` (default
            ``refresh_timeout``) seconds; the request itself may go on.
        """
        self.start()
        return self._core.current().refresh(capped(timeout))

    def flush(self, timeout: float | None = None) -> bool:
        """
        Send the counts.

        Returns:
            True when the server took them within ``timeout`` (default
            ``flush_timeout``) seconds, or there was nothing to send.
        """
        return self._core.current().flush(capped(timeout))

    def terminate(self, timeout: float | None = None) -> None:
        """
        Flush, for the platform said that the instance ends; for adapters.

        Runs on the calling thread, at most ``timeout`` seconds (default: the
        platform's grace). Later invocations are answered and flush themselves.
        """
        self._core.current().terminate(self._grace(timeout))

    def close(self, timeout: float | None = None) -> bool:
        """
        Flush for the last time; idempotent, from any thread.

        Returns:
            True when nothing was left unsent.
        """
        process = self._core.current()
        before = process.state
        flushed = process.close(self._grace(timeout))
        plugins = self._core.known_plugins
        if plugins is not None and before not in {State.NEW, State.CLOSED}:
            reason = "signal" if before is State.TERMINATING else "close"
            plugins.disconnect_instance(reason)
        return flushed

    def renew(self) -> None:
        """
        Lead back to NEW, for adapters whose platform copies a running process.

        A copy must not send the original's counts, use its connections or carry its
        identity. It keeps the flags, as old as they are, and the next start asks
        whether they have changed. A fork needs no call: it is noticed.
        """
        self._core.renew()

    def _grace(self, timeout: float | None) -> float:
        limit = capped(timeout)
        return (
            self._core.usable_plugins.platform.shutdown_grace
            if limit is None
            else limit
        )

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
        core = self._core
        scope = core.scope.get()
        if scope is None or scope.ended:
            scope = core.outside(scope)
        if scope is not None:
            context = scope.merged(context)
        client = core.process.client
        if client is not None:  # as `Core.answer`, without the call
            return client.is_enabled(feature_name, context, fallback_function)
        return core.answer(feature_name, context, fallback_function)

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> Variant:
        """Return the flag's variant; UnleashClient's signature."""
        core = self._core
        scope = core.scope.get()
        if scope is None or scope.ended:
            scope = core.outside(scope)
        if scope is not None:
            context = scope.merged(context)
        return core.answer_variant(feature_name, context)

    # -- around the user's function ------------------------------------------------
    def wrap(self, func: Callable[P, R] = _NOT_GIVEN, /) -> Callable[P, R]:
        """
        Return ``func`` with the session's work around each call.

        Takes any callable, ``def`` or ``async def``, and returns a real function with
        its name, signature and annotations. Wrapping twice changes nothing. A generator
        function has its invocation at each step, until its body has ended.

        Raises:
            TypeError: when ``func`` is no function, or the platform would bypass the
                wrapper; it shows the cure.
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
        Return what `wrap` does as a context manager, for ``with`` and ``async with``.

        Args:
            args: what the platform called the function with.
            context: evaluation context; wins over the adapter's.
            kwargs: likewise.
        """
        return InvocationScope(self, self._core, args, kwargs, context)

    def bind(self, func: Callable[P, R]) -> Callable[P, R]:
        """Return ``func`` carrying this invocation's evaluation context to a thread."""
        return wrap.bound(self._core.scope, func)

    # -- looking at it -------------------------------------------------------------
    @property
    def status(self) -> Status:
        """What the session knows of itself now."""
        from serverless_flags._process.status import status_of  # when asked for

        core = self._core
        return status_of(core.current(), core.usable_plugins.platform.name)

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
