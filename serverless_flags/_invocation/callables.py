"""What is known of a callable: the kind of its result, its name, or that it is none."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind:
    """What a call returns, as far as the callable itself shows."""

    # Strings: defining an enumeration takes as long as the rest of the module.
    PLAIN = "a result"
    COROUTINE = "a coroutine"
    GENERATOR = "a generator"
    ASYNC_GENERATOR = "an async generator"


def kind_of(func: Callable[..., Any]) -> str:
    """
    Return what calling ``func`` returns.

    A ``def`` that returns the coroutine of an ``async def``, as the functions of most
    decorators do, is PLAIN: only its result shows that it must be awaited.
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
    """Return the function that partials, methods and static methods call."""
    while True:
        if isinstance(func, functools.partial):
            func = func.func
        elif isinstance(func, (types.MethodType, staticmethod)):
            func = func.__func__
        else:
            return func


def _code_owner(func: Any) -> Any:
    """Return ``func``, or for a callable object the ``__call__`` of its class."""
    return func if isinstance(func, types.FunctionType) else type(func).__call__


def copy_metadata(wrapper: Any, func: Callable[..., Any]) -> None:
    """Give ``wrapper`` the name, the signature and the annotations of ``func``."""
    if isinstance(func, type):  # a class's attributes describe its instances
        functools.update_wrapper(wrapper, func, updated=())
        return
    functools.update_wrapper(wrapper, func)
    if not hasattr(func, "__name__"):
        _describe_object(wrapper, func)
    if not wrapper.__code__.co_flags & inspect.CO_COROUTINE:
        # The marks of inspect.markcoroutinefunction and, before it, of asyncio: a
        # runtime must not await a function that returns the result itself.
        for mark in ("_is_coroutine_marker", "_is_coroutine"):
            wrapper.__dict__.pop(mark, None)


def _describe_object(wrapper: Any, func: Callable[..., Any]) -> None:
    """Name the wrapper of a partial or a callable object after what that calls."""
    inner: Any = func
    while isinstance(inner, functools.partial):
        inner = inner.func
    wrapper.__name__ = getattr(inner, "__name__", type(inner).__name__)
    wrapper.__qualname__ = wrapper.__name__
    called = inner if hasattr(inner, "__name__") else type(inner).__call__
    try:  # resolved now: an object has no globals for resolving them later
        wrapper.__annotations__ = typing.get_type_hints(called)
    except Exception:  # noqa: BLE001  reason: the user's annotations may be anything
        wrapper.__annotations__ = {}


def require_callable(func: object, verb: str) -> None:
    """
    Check that ``func`` can be called.

    Raises:
        TypeError: when it cannot; the message says how to correct it.
    """
    if not callable(func):
        cure = next((c for k, c in _CURES if isinstance(func, k)), "")
        message = f"{verb} takes a callable, not {type(func).__name__}{cure}"
        raise TypeError(message.replace("VERB", verb))


def refuse_class(func: object, verb: str) -> None:
    """
    Check that ``func`` is not a class, which a wrapper function could not replace.

    Code that subclasses it or calls ``isinstance`` with it would fail.

    Raises:
        TypeError: when it is a class; the message says how to correct it.
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
        ": VERB the function and create the partialmethod from the result",
    ),
    (
        (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType),
        ": give it the function itself, without calling it",
    ),
)
