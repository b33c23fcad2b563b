"""The function that `FlagSession.wrap` returns, for ``def`` and for ``async def``."""

from __future__ import annotations

import functools
import inspect
import os
import typing
from typing import TYPE_CHECKING, Any

from serverless_flags._scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

    from serverless_flags._session import FlagSession


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
    if not hasattr(func, "__name__"):
        _describe_object(made, func)
    return made


def _describe_object(made: Any, func: Callable[..., Any]) -> None:
    """Name a partial or an object with ``__call__`` by what it calls."""
    inner: Any = func
    while isinstance(inner, functools.partial):
        inner = inner.func
    made.__name__ = getattr(inner, "__name__", type(inner).__name__)
    made.__qualname__ = made.__name__
    called = inner if hasattr(inner, "__name__") else type(inner).__call__
    try:  # resolved here: an object has no globals in which others could
        made.__annotations__ = typing.get_type_hints(called)
    except Exception:  # noqa: BLE001  reason: the user's annotations may be anything
        made.__annotations__ = {}


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
        import asyncio  # only for async handlers

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
    import asyncio  # only for async handlers

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
