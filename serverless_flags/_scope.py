"""One invocation of one session, as a context manager."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from serverless_flags._duties import NOTHING_DUE, within
from serverless_flags._errand import wait_for_all
from serverless_flags.platform import NOTHING_KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._duties import Plan, Wait
    from serverless_flags._instance import Instance
    from serverless_flags._plugins import Plugins
    from serverless_flags._session import FlagSession
    from serverless_flags.platform import Invocation


class Scope:
    """
    One invocation of one session; a context manager for ``with`` and ``async with``.

    Nested in another of the same session it joins that one. The user's exception
    passes untouched; a fault of ours is logged and goes no further.
    """

    __slots__ = (
        "_args", "_base", "_given", "_home", "_instance", "_joined", "_kwargs",
        "_outer", "_plan", "_plugins", "_session", "ended", "invocation",
    )  # fmt: skip

    def __init__(
        self,
        session: FlagSession,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self._session = session
        self._args = args
        self._kwargs = kwargs
        self._given = context
        self._base: dict[str, Any] | None = None
        self._home: Instance | None = None
        self._instance: Instance | None = None
        self._plan: Plan = NOTHING_DUE
        self._plugins: Plugins | None = None
        self._joined: Scope | None = None
        self._outer: Scope | None = None
        self.ended = False
        self.invocation: Invocation = NOTHING_KNOWN

    # -- context -------------------------------------------------------------------
    def merged(self, context: dict[str, Any] | None) -> dict[str, Any]:
        """Return the invocation's evaluation context with the caller's on top."""
        base = self._base
        if base is None:
            base = self._base = self._evaluation_context()
        return _over(base, context) if context else base

    def _evaluation_context(self) -> dict[str, Any]:
        """Build the context once per invocation, at its first evaluation."""
        context: Mapping[str, Any] = {}
        if self._joined is not None:
            context = self._joined.merged(None)
        else:
            try:
                context = self._read_context(self.invocation)
            except Exception:  # noqa: BLE001  reason: a plugin's or a callback's fault
                self._fault("no evaluation context for an invocation")
        return _over(context, self._given or {})

    def _read_context(self, invocation: Invocation) -> Mapping[str, Any]:
        choose = self._session._settings.context  # noqa: SLF001  reason: the session's own room
        if choose is not None:
            return choose(invocation._replace(args=self._args, kwargs=self._kwargs))
        context = invocation.context
        return context() if callable(context) else context

    # -- with ----------------------------------------------------------------------
    def __enter__(self) -> Self:
        try:
            instance = self._open()
            if instance is not None:
                if instance.duties is None and not instance.started:
                    self._session.start(self._start_timeout(instance))
                first = self._begin(instance)
                if first is not None:
                    first.what.wait(first.seconds)
                    first.then()
        except Exception:  # noqa: BLE001  reason: a plugin's or a callback's fault
            self._fault("an invocation could not begin as it should")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            wait = self._finish(kind)
            if wait is not None:
                wait.what.wait(wait.seconds)
        except Exception:  # noqa: BLE001  reason: a plugin's or a callback's fault
            self._fault("an invocation could not end as it should")
        finally:
            self._close()

    async def __aenter__(self) -> Self:
        try:
            instance = self._open()
            if instance is not None:
                if instance.duties is None and not instance.started:
                    await instance.start_beside(
                        self._session,
                        self._known_plugins,
                        self._start_timeout(instance),
                    )
                first = self._begin(instance)
                if first is not None:
                    await first.what.wait_async(first.seconds)
                    first.then()
        except Exception:  # noqa: BLE001  reason: a plugin's or a callback's fault
            self._fault("an invocation could not begin as it should")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            wait = self._finish(kind)
            if wait is not None:
                await wait.what.wait_async(wait.seconds)
        except Exception:  # noqa: BLE001  reason: a plugin's or a callback's fault
            self._fault("an invocation could not end as it should")
        finally:
            self._close()

    # -- what both share -----------------------------------------------------------
    def _open(self) -> Instance | None:
        """Enter the context variable; None when an outer invocation does the work."""
        session = self._session
        variable = session._scope  # noqa: SLF001  reason: the session's own room
        outer = variable.get()
        if outer is not None and outer.ended:
            outer = outer.living()
        self._outer = outer
        variable.set(self)
        instance = session._instance  # noqa: SLF001  reason: the session's own room
        if os.getpid() != session._pid:  # noqa: SLF001  reason: likewise; `_current` inlined
            instance = session._current()  # noqa: SLF001  reason: likewise
        self._home = instance
        if outer is not None and outer.goes_on_in(instance):
            self._joined = outer
            return None
        plugins = session._plugins or session.plugins  # noqa: SLF001  reason: likewise
        self._plugins = plugins
        self._instance = instance
        self.invocation = plugins.read_invocation(self._args, self._kwargs)
        if not instance.invoked:
            instance.invoke_first(session, plugins)
        return instance

    def goes_on_in(self, instance: Instance) -> bool:
        """Whether another invocation may join: a forked child's may not."""
        return not self.ended and self._home is instance

    def living(self) -> Scope | None:
        """Return the innermost invocation around this one that has not ended."""
        scope: Scope | None = self
        while scope is not None and scope.ended:
            scope = scope._outer  # noqa: SLF001  reason: another object of this class
        return scope

    def carried(self) -> Scope:
        """Return an invocation with this one's context that outlives it, for `bind`."""
        scope = Scope(self._session, self._args, self._kwargs)
        scope._joined, scope._home = self, self._home
        scope.invocation = self.invocation
        return scope

    @property
    def _known_plugins(self) -> Plugins:
        assert self._plugins is not None  # noqa: S101  reason: narrows the type
        return self._plugins

    def _begin(self, instance: Instance) -> Wait | None:
        """Begin what is due; say what the user's function waits for."""
        if instance.duties is not None:
            self._plan = instance.duties.begin(self._remaining)
        if self._known_plugins.begins:
            self._known_plugins.begin_invocation(self.invocation)
        return self._plan.first

    def _finish(self, kind: type[BaseException] | None) -> Wait | None:
        """Do what is due; say what to wait for, nothing when the process is leaving."""
        instance = self._instance
        if instance is None or instance.duties is None:
            return None
        wait = instance.duties.finish(
            self._plan, self._remaining, terminating=instance.terminating
        )
        if wait is None and self._plan is NOTHING_DUE:
            return None
        leaving = kind is not None and not issubclass(kind, Exception)
        return None if leaving or self._hand_over(wait) else wait

    def _hand_over(self, wait: Wait | None) -> bool:
        """Whether the platform waits in our place, after the response."""
        parts = (self._plan.beside, None if wait is None else wait.what)
        under_way = [part for part in parts if part is not None and not part.ended]
        if not under_way:
            return False
        return self._known_plugins.wait_after_response(
            self.invocation, partial(wait_for_all, under_way)
        )

    def _close(self) -> None:
        """Restore the context; the last thing, whatever happened."""
        self.ended = True
        variable = self._session._scope  # noqa: SLF001  reason: the session's own room
        if variable.get() is self:  # else left in another context: a generator's
            outer = self._outer
            variable.set(None if outer is None else outer.living())
        plugins = self._plugins
        if plugins is not None:
            plugins.end_invocation(self.invocation)
            self._plugins = None

    def _start_timeout(self, instance: Instance) -> float:
        """Return ``start_timeout``, or what the invocation has left of its time."""
        return within(instance.settings.start_timeout, self._remaining)

    def _remaining(self) -> float | None:
        remaining = self.invocation.remaining_time
        if remaining is None:
            return None
        try:
            return remaining()
        except Exception:  # noqa: BLE001  reason: a plugin's fault
            self._fault("the remaining time of an invocation is not known")
            return None

    def _fault(self, what: str) -> None:
        """Log a fault that must not be the function's, the first time as a warning."""
        self._session._instance.reporter.warn(what, what, exc_info=True)  # noqa: SLF001  reason: the session's own room


def _over(base: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two evaluation contexts, the second on top, properties one by one."""
    merged = {**base, **context}
    below, above = base.get("properties"), context.get("properties")
    if below and above:
        merged["properties"] = {**below, **above}
    return merged
