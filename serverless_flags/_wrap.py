"""What surrounds the user's function: for ``def``, ``async def`` and ``with``."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from serverless_flags._instance import Instance, Plan
from serverless_flags._report import logger

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._session import FlagSession
    from serverless_flags.platform import Invocation


class Scope:
    """
    One invocation of one session; a context manager for ``with`` and ``async with``.

    Nested in another of the same session it joins that one. The user's exception
    passes untouched; a fault of ours is logged and goes no further.
    """

    __slots__ = (
        "_args", "_base", "_given", "_instance", "_joined", "_kwargs", "_plan",
        "_session", "_token", "ended", "invocation",
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
        self._instance: Instance | None = None
        self._plan: Plan | None = None
        self._joined: Scope | None = None
        self._token: Token[Scope | None] | None = None
        self.ended = False
        self.invocation: Invocation | None = None

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
        elif self.invocation is not None:
            try:
                context = self._read_context(self.invocation)
            except Exception:  # noqa: BLE001  reason: a plugin's or a callback's fault
                logger.warning("no evaluation context for this invocation", exc_info=True)
        return _over(context, self._given or {})

    def _read_context(self, invocation: Invocation) -> Mapping[str, Any]:
        choose = self._session._settings.context  # noqa: SLF001  reason: the session's own room
        if choose is not None:
            import dataclasses  # noqa: PLC0415  reason: only with a context callable

            whole = dataclasses.replace(
                invocation, args=self._args, kwargs=self._kwargs
            )
            return choose(whole)
        context = invocation.context
        return context() if callable(context) else context

    # -- with ----------------------------------------------------------------------
    def __enter__(self) -> Self:
        try:
            instance = self._open()
            if instance is not None:
                if not instance.started:
                    self._session.start()
                plan = self._begin(instance)
                if plan.first is not None:
                    plan.first.wait(plan.first_timeout)
                    instance.settle()
        except Exception:  # noqa: BLE001  reason: a session's fault must not be the function's
            logger.warning("an invocation could not begin as it should", exc_info=True)
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
                wait[0].wait(wait[1])
        except Exception:  # noqa: BLE001  reason: a session's fault must not be the function's
            logger.warning("an invocation could not end as it should", exc_info=True)
        finally:
            self._close()

    async def __aenter__(self) -> Self:
        try:
            instance = self._open()
            if instance is not None:
                if not instance.started:
                    await instance.start_beside(self._session, self._session.plugins)
                plan = self._begin(instance)
                if plan.first is not None:
                    await plan.first.wait_async(plan.first_timeout)
                    instance.settle()
        except Exception:  # noqa: BLE001  reason: a session's fault must not be the function's
            logger.warning("an invocation could not begin as it should", exc_info=True)
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
                await wait[0].wait_async(wait[1])
        except Exception:  # noqa: BLE001  reason: a session's fault must not be the function's
            logger.warning("an invocation could not end as it should", exc_info=True)
        finally:
            self._close()

    # -- what both share -----------------------------------------------------------
    def _open(self) -> Instance | None:
        """Enter the context variable; None when an outer invocation does the work."""
        variable = self._session._scope  # noqa: SLF001  reason: the session's own room
        outer = variable.get()
        self._token = variable.set(self)
        if outer is not None and not outer.ended:
            self._joined = outer
            return None
        session = self._session
        self._instance = instance = session._current()  # noqa: SLF001  reason: the session's own room
        plugins = session.plugins
        self.invocation = plugins.read_invocation(self._args, self._kwargs)
        if not instance.invoked:
            instance.invoke_first(session, plugins)
        return instance

    def _begin(self, instance: Instance) -> Plan:
        plan = self._plan = instance.plan(self._remaining())
        if self.invocation is not None:
            self._session.plugins.begin_invocation(self.invocation)
        return plan

    def _finish(self, kind: type[BaseException] | None) -> Any:
        """Do what is due; say what to wait for, nothing when the process is leaving."""
        instance = self._instance
        if instance is None:
            return None
        wait = instance.finish(self._plan or Plan(), self._remaining())
        leaving = kind is not None and not issubclass(kind, Exception)
        return None if leaving else wait

    def _close(self) -> None:
        """Restore the context; the last thing, whatever happened."""
        self.ended = True
        if self._token is not None:
            try:
                self._session._scope.reset(self._token)  # noqa: SLF001  reason: the session's own room
            except ValueError:  # left in another context than entered: a generator's
                self._session._scope.set(None)  # noqa: SLF001  reason: the session's own room
            self._token = None
        if self._instance is not None and self.invocation is not None:
            self._session.plugins.end_invocation(self.invocation)

    def _remaining(self) -> float | None:
        if self.invocation is None or self.invocation.remaining_time is None:
            return None
        return self.invocation.remaining_time()


def _over(base: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two evaluation contexts, the second on top, properties one by one."""
    merged = {**base, **context}
    below, above = base.get("properties"), context.get("properties")
    if below and above:
        merged["properties"] = {**below, **above}
    return merged


def wrapper(
    session: FlagSession, func: Callable[..., Any], *, awaits: bool
) -> Callable[..., Any]:
    """Return a real function that calls ``func`` inside an invocation."""
    if not callable(func):
        message = f"wrap takes a callable, not {type(func).__name__}"
        raise TypeError(message)
    if not _is_async(func):
        made = _sync(session, func)
    elif awaits:
        made = _async(session, func)
    else:
        made = _on_kept_loop(session, func, _async(session, func))
    functools.update_wrapper(made, func)
    if not hasattr(func, "__name__"):  # a partial, or an object with __call__
        inner = getattr(func, "func", None)
        made.__name__ = getattr(inner, "__name__", type(func).__name__)
        made.__qualname__ = made.__name__
    return made


def _sync(session: FlagSession, func: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with Scope(session, args, kwargs):
            return func(*args, **kwargs)

    return call


def _async(session: FlagSession, func: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with Scope(session, args, kwargs):
            return await func(*args, **kwargs)

    return call


def _on_kept_loop(
    session: FlagSession, func: Callable[..., Any], awaited: Callable[..., Any]
) -> Callable[..., Any]:
    """Run ``async def`` where the runtime cannot, on one loop per process."""

    def call(*args: Any, **kwargs: Any) -> Any:
        import asyncio  # noqa: PLC0415  reason: only for async handlers

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            with Scope(session, args, kwargs):
                return _kept_loop().run_until_complete(func(*args, **kwargs))
        return awaited(*args, **kwargs)  # whoever runs that loop will await it

    return call


_loops: dict[int, Any] = {}


def _kept_loop() -> Any:
    """Return this process's event loop; it stays open, so clients bound to it live."""
    import asyncio  # noqa: PLC0415  reason: only for async handlers

    pid = os.getpid()
    loop = _loops.get(pid)
    if loop is None or loop.is_closed():
        _loops.clear()
        loop = _loops[pid] = asyncio.new_event_loop()
    return loop


def _is_async(func: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(
        getattr(func, "__call__", None)  # noqa: B004  reason: not whether, but what kind
    )


def bound(
    variable: ContextVar[Scope | None], func: Callable[..., Any]
) -> Callable[..., Any]:
    """Return ``func`` that runs inside the invocation which is current now."""
    scope = variable.get()

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        token = variable.set(scope)
        try:
            return func(*args, **kwargs)
        finally:
            variable.reset(token)

    return call
