"""The functions that `FlagSession.wrap` and `FlagSession.bind` return."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from serverless_flags._background import on_running_loop
from serverless_flags._invocation.callables import (
    Kind,
    copy_metadata,
    kind_of,
    refuse_class,
    require_callable,
)
from serverless_flags._invocation.scope import InvocationScope

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar
    from types import ModuleType

    from serverless_flags._core import Core
    from serverless_flags._invocation.steps import OpenSteps, Steps

    Function = Callable[..., Any]
    HandleResult = Callable[[Core, InvocationScope, Any], Any]


def wrapper(session: object, core: Core, func: Function, *, awaits: bool) -> Function:
    """
    Return a real function that calls ``func`` inside an invocation.

    Args:
        session: the facade, which the wrapper keeps alive.
        core: what the session and its invocations share.
        func: the user's function.
        awaits: whether the runtime awaits ``async def`` handlers itself.

    Raises:
        TypeError: when ``func`` is not a function; the message says how to correct it.
    """
    refuse_class(func, "wrap")
    require_callable(func, "wrap")
    kind = kind_of(func)
    if kind == Kind.PLAIN:
        handle_result = _defer_end if awaits else _run_or_defer_end
        made = _sync(session, core, func, handle_result)
    elif kind != Kind.COROUTINE:
        made = _in_steps(kind, func, _opens_invocation(session, core))
    elif awaits:
        made = _async(session, core, func)
    else:
        made = _on_thread_loop(session, core, func, _async(session, core, func))
    copy_metadata(made, func)
    return made


def _sync(
    session: object, core: Core, func: Function, handle_result: HandleResult
) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        with InvocationScope(session, core, args, kwargs) as scope:
            result = func(*args, **kwargs)
            if type(result) in _final_types:
                return result
            return handle_result(core, scope, result)

    return call


_final_types: set[type] = {dict, str, bool, type(None), tuple, list, int, bytes}
"""Types of results that are no coroutine or generator; others are added when seen."""

_MAX_TYPES = 256
_GENERATORS = (types.GeneratorType, types.AsyncGeneratorType)


def _is_final(result: Any) -> bool:
    """Whether a result is neither awaitable nor a generator."""
    kind = type(result)
    if kind in _GENERATORS or hasattr(kind, "__await__"):
        return False
    if len(_final_types) < _MAX_TYPES:
        _final_types.add(kind)
    return True


def _async(session: object, core: Core, func: Function) -> Function:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with InvocationScope(session, core, args, kwargs):
            return await func(*args, **kwargs)

    return call


def _on_thread_loop(
    session: object, core: Core, func: Function, awaited: Function
) -> Function:
    """Run an ``async def`` that the runtime does not await, on the thread's loop."""

    def call(*args: Any, **kwargs: Any) -> Any:
        loops = _loops()
        if loops.runs_here():
            return awaited(*args, **kwargs)  # the code on that loop will await it
        with InvocationScope(session, core, args, kwargs):
            return loops.run(func, *args, **kwargs)

    return call


# -- results that run later ------------------------------------------------------------
def _run_or_defer_end(core: Core, scope: InvocationScope, result: Any) -> Any:
    """Run an awaitable here, because the runtime would not await it."""
    if _is_final(result):
        return result
    import inspect  # rarely needed

    if inspect.isawaitable(result) and not _loops().runs_here():
        return _loops().run(lambda: result)
    return _defer_end(core, scope, result)


@functools.cache
def _loops() -> ModuleType:
    from serverless_flags._invocation import event_loops  # asyncio: rarely needed

    return event_loops


def _defer_end(core: Core, scope: InvocationScope, result: Any) -> Any:
    """Keep the invocation open until the coroutine or generator has ended."""
    if _is_final(result):
        return result
    from serverless_flags._invocation.steps import (  # only for such results
        DeferredSteps,
        wrap_body,
    )

    variable = core.scope
    return wrap_body(result, lambda body: DeferredSteps(variable, scope, body))


def _opens_invocation(session: object, core: Core) -> OpenSteps:
    """Return a function that opens an invocation for the steps of a generator."""
    from serverless_flags._invocation.steps import OwnSteps  # only for generators

    def open_steps(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        return OwnSteps(core.scope, InvocationScope(session, core, args, kwargs))

    return open_steps


def _in_steps(kind: str, func: Function, open_steps: OpenSteps) -> Function:
    """Return a function of the same kind that runs each step inside the invocation."""
    from serverless_flags._invocation import steps  # only for coroutines and generators

    make: Function = {
        Kind.COROUTINE: steps.coroutine_function,
        Kind.GENERATOR: steps.generator_function,
        Kind.ASYNC_GENERATOR: steps.async_generator_function,
    }[kind]
    made: Function = make(func, open_steps)
    return made


# -- bind ------------------------------------------------------------------------------
def bound(variable: ContextVar[InvocationScope | None], func: Function) -> Function:
    """
    Return a function that runs ``func`` inside the invocation that is current now.

    Outside invocations it returns ``func`` itself.

    Raises:
        TypeError: when ``func`` cannot be called; the message says how to correct it.
    """
    from serverless_flags._invocation.steps import (  # only where `bind` is used
        Steps,
        wrap_body,
    )

    require_callable(func, "bind")
    scope = variable.get()
    if scope is not None and scope.ended and not on_running_loop():
        scope = scope.innermost_open()  # only a task may outlive its invocation
    if scope is None:
        return func
    kind, detached = kind_of(func), scope.detached()

    def open_steps(_args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Steps:
        return Steps(variable, detached)

    def call(*args: Any, **kwargs: Any) -> Any:
        steps = Steps(variable, detached)
        return wrap_body(steps.step(func, *args, **kwargs), lambda _body: steps)

    made = call if kind == Kind.PLAIN else _in_steps(kind, func, open_steps)
    copy_metadata(made, func)
    return made
