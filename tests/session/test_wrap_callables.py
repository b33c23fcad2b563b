"""Any callable can be wrapped, and becomes a real function."""

from __future__ import annotations

import asyncio
import functools
import inspect
import typing

import pytest

from serverless_flags import FlagSession
from serverless_flags.clients.memory import MemoryClient


@pytest.fixture(name="flags")
def _flags(cloud):
    with FlagSession(client=MemoryClient({"on": True}), plugins=[cloud()]) as flags:
        yield flags


class _Callable:
    def __call__(self, event: int) -> int:
        return event + 1


class _AsyncCallable:
    async def __call__(self, event: int) -> int:
        return event + 1


class _Methods:
    def method(self, event: int) -> int:
        return event + 1


def _add(one: int, event: int) -> int:
    return event + one


@pytest.mark.parametrize(
    ("func", "name"),
    [
        (_Callable(), "_Callable"),
        (_Methods().method, "method"),
        (functools.partial(_add, 1), "_add"),
        (functools.partial(_Callable()), "_Callable"),
    ],
)
def test_any_callable_becomes_a_real_function(flags, func, name):
    """Objects, methods and partials become functions with a name and a signature."""
    wrapped = flags.wrap(func)

    assert inspect.isfunction(wrapped)
    assert name == wrapped.__name__
    assert inspect.signature(func) == inspect.signature(wrapped)
    assert int is typing.get_type_hints(wrapped)["event"]
    assert 3 == wrapped(2)


def test_annotations_that_cannot_be_resolved_are_left_out(flags):
    """An object with unresolvable annotations can still be wrapped."""

    class Odd:
        def __call__(self, event: Nowhere) -> int:  # noqa: F821  reason: the point
            return 1

    wrapped = flags.wrap(Odd())

    assert {} == typing.get_type_hints(wrapped)
    assert 1 == wrapped(2)


def test_an_async_callable_object_is_awaited(flags):
    """An object whose ``__call__`` is ``async def`` becomes a coroutine function."""
    wrapped = flags.wrap(_AsyncCallable())

    assert 3 == asyncio.run(wrapped(2))


def test_an_object_without_hash_can_be_wrapped(flags):
    """A callable need not be hashable."""

    class Unhashable:
        __hash__ = None

        def __call__(self) -> int:
            return 1

    assert 1 == flags.wrap(Unhashable())()


def test_what_cannot_be_called_cannot_be_wrapped(flags):
    """Wrapping anything else raises a TypeError at once, not at the first event."""
    with pytest.raises(TypeError, match="wrap takes a callable, not str"):
        flags.wrap("handler")
