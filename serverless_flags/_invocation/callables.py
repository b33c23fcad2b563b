"""What a callable is: what a call of it returns, its name, and what is none."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind:
    """What a call returns, as far as the callable itself says."""

    # Texts: an enumeration takes as long to define as the rest of the module.
    PLAIN = "a result"
    COROUTINE = "a coroutine"
    GENERATOR = "a generator"
    ASYNC_GENERATOR = "an async generator"


def kind_of(func: Callable[..., Any]) -> str:
    """
    Return what calling ``func`` returns.

    A ``def`` that returns what an ``async def`` has returned is PLAIN, as most
    decorators' functions are: only its result tells.
    """
    inner = _innermost(func)
    if any(map(inspect.iscoroutinefunction, (func, inner, _code_owner(inner)))):
        return Kind.COROUTINE
    called = _code_owner(inner)
    if inspect.isasyncgenfunction(called):
        return Kind.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(called):
        awaited = called.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE
        return Kind.COROUTINE if awaited else Kind.GENERATOR
    return Kind.PLAIN


def _innermost(func: Any) -> Any:
    """Return what partials, methods and static methods call."""
    while True:
        if isinstance(func, functools.partial):
            func = func.func
        elif isinstance(func, (types.MethodType, staticmethod)):
            func = func.__func__
        else:
            return func


def _code_owner(func: Any) -> Any:
    """Return a function, or the function that a call of an object runs."""
    return func if isinstance(func, types.FunctionType) else type(func).__call__


def resemble(made: Any, func: Callable[..., Any]) -> None:
    """Give ``made`` the name, the signature and the annotations of ``func``."""
    if isinstance(func, type):  # its attributes are its instances', not a function's
        functools.update_wrapper(made, func, updated=())
        return
    functools.update_wrapper(made, func)
    if not hasattr(func, "__name__"):
        _describe_object(made, func)
    if not made.__code__.co_flags & inspect.CO_COROUTINE:
        # Marks of inspect.markcoroutinefunction and of asyncio's older way: a runtime
        # must not await a function that returns the result itself.
        for mark in ("_is_coroutine_marker", "_is_coroutine"):
            made.__dict__.pop(mark, None)


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


def refuse_what_is_none(func: object, verb: str) -> None:
    """
    Refuse what cannot be called.

    Raises:
        TypeError: it names the cure.
    """
    if not callable(func):
        cure = next((c for k, c in _CURES if isinstance(func, k)), "")
        message = f"{verb} takes a callable, not {type(func).__name__}{cure}"
        raise TypeError(message.replace("VERB", verb))


def refuse_class(func: object, verb: str) -> None:
    """
    Refuse a class: a function in its place could not be subclassed or tested for.

    Raises:
        TypeError: it names the cure.
    """
    if isinstance(func, type):
        name = func.__name__
        message = (
            f"{verb} takes a function, not the class {name}: {verb} an instance of it"
            f" (flags.{verb}({name}())) or decorate its method"
        )
        raise TypeError(message)


_CURES: tuple[tuple[Any, str], ...] = (
    (type(None), ": does a decorator below @flags.VERB return nothing?"),
    (classmethod, ": write @classmethod above @flags.VERB"),
    (property, ": write @property above @flags.VERB"),
    (
        functools.partialmethod,
        ": VERB the function and make the partialmethod of what comes back",
    ),
    (
        (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType),
        ": give it the function itself, without calling it",
    ),
)
