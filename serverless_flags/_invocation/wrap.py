"""The functions that `FlagSession.wrap` and `FlagSession.bind` return."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from serverless_flags._background import on_running_loop
from serverless_flags._invocation.callables import (
    Kind,
    kind_of,
    refuse_class,
    refuse_what_is_none,
    resemble,
)
from serverless_flags._invocation.scope import InvocationScope

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar
    from types import ModuleType

    from serverless_flags._core import Core
    from serverless_flags._invocation.steps import Opening, Steps

    Function = Callable[..., Any]
    Settle = Callable[[Core, InvocationScope, Any], Any]


def wrapper(session: object, core: Core, func: Function, *, awaits: bool) -> Function:
    """
    Return a real function that calls ``func`` inside an invocation.

    Raises:
        TypeError: when ``func`` is no function; it names the cure.
    """
    refuse_class(func, "wrap")
    refuse_what_is_none(func, "wrap")
    kind = kind_of(func)
    if kind == Kind.PLAIN:
        made = _sync(session, core, func, _carry if awaits else _run_or_carry)
    elif kind != Kind.COROUTINE:
        made = _in_steps(kind, func, _opening(session, core))
    elif awaits:
        made = _async(session, core, func)
    else:
        made = _on_kept_loop(session, core, func, _async(session, core, func))
    resemble(made, func)
    return made


def _sync(session: object, core: Core, func: Function, settle: Settle) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        with InvocationScope(session, core, args, kwargs) as scope:
            result = func(*args, **kwargs)
            if type(result) in _complete:
                return result
            return settle(core, scope, result)

    return call


_complete: set[type] = {dict, str, bool, type(None), tuple, list, int, bytes}
"""Types of results that do not run later; more are added as they are met."""

_MOST_TYPES = 256
_LATER = (types.GeneratorType, types.AsyncGeneratorType)


def _is_complete(result: Any) -> bool:
    """Whether a result is what it is: no coroutine, no generator."""
    kind = type(result)
    if kind in _LATER or hasattr(kind, "__await__"):
        return False
    if len(_complete) < _MOST_TYPES:
        _complete.add(kind)
    return True


def _async(session: object, core: Core, func: Function) -> Function:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with InvocationScope(session, core, args, kwargs):
            return await func(*args, **kwargs)

    return call


def _on_kept_loop(
    session: object, core: Core, func: Function, awaited: Function
) -> Function:
    """Run ``async def`` where the runtime cannot, on the event loop of the thread."""

    def call(*args: Any, **kwargs: Any) -> Any:
        loops = _loops()
        if loops.runs_here():
            return awaited(*args, **kwargs)  # what runs that loop will await it
        with InvocationScope(session, core, args, kwargs):
            return loops.run(func, *args, **kwargs)

    return call


# -- results that run later ------------------------------------------------------------
def _run_or_carry(core: Core, scope: InvocationScope, result: Any) -> Any:
    """Run an awaitable here, for the runtime would not await it."""
    if _is_complete(result):
        return result
    import inspect  # only for what runs later

    if inspect.isawaitable(result) and not _loops().runs_here():
        return _loops().run(lambda: result)
    return _carry(core, scope, result)


@functools.cache
def _loops() -> ModuleType:
    from serverless_flags._invocation import event_loops  # asyncio: rarely needed

    return event_loops


def _carry(core: Core, scope: InvocationScope, result: Any) -> Any:
    """Keep the invocation open until the coroutine or generator has ended."""
    if _is_complete(result):
        return result
    from serverless_flags._invocation.steps import (  # only for such results
        KeptSteps,
        carried,
    )

    variable = core.scope
    return carried(result, lambda body: KeptSteps(variable, scope, body))


def _opening(session: object, core: Core) -> Opening:
    """Return what begins an invocation of a generator, with its first step."""
    from serverless_flags._invocation.steps import OpenedSteps  # only for generators

    def opening(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        return OpenedSteps(core.scope, InvocationScope(session, core, args, kwargs))

    return opening


def _in_steps(kind: str, func: Function, opening: Opening) -> Function:
    """Return a function of the same kind, each step of which runs inside."""
    from serverless_flags._invocation import steps  # only for coroutines and generators

    make: Function = {
        Kind.COROUTINE: steps.coroutine_function,
        Kind.GENERATOR: steps.generator_function,
        Kind.ASYNC_GENERATOR: steps.async_generator_function,
    }[kind]
    made: Function = make(func, opening)
    return made


# -- bind ------------------------------------------------------------------------------
def bound(variable: ContextVar[InvocationScope | None], func: Function) -> Function:
    """
    Return ``func`` that runs inside the invocation which is current now.

    Outside an invocation there is nothing to carry: ``func`` comes back as it is.

    Raises:
        TypeError: when ``func`` cannot be called; it names the cure.
    """
    from serverless_flags._invocation.steps import (  # only where something is bound
        Steps,
        carried,
    )

    refuse_what_is_none(func, "bind")
    scope = variable.get()
    if scope is not None and scope.ended and not on_running_loop():
        scope = scope.living()  # an ended invocation is left to tasks of its own
    if scope is None:
        return func
    kind, carrier = kind_of(func), scope.carried()

    def opening(_args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Steps:
        return Steps(variable, carrier)

    def call(*args: Any, **kwargs: Any) -> Any:
        steps = Steps(variable, carrier)
        return carried(steps.step(func, *args, **kwargs), lambda _body: steps)

    made = call if kind == Kind.PLAIN else _in_steps(kind, func, opening)
    resemble(made, func)
    return made
