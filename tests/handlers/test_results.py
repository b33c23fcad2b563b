"""A coroutine that a plain function returns also runs inside the invocation."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import sys
import types
from typing import Any

import pytest


def _passes_on(func):
    """Decorate as most libraries do: the inner function is a plain ``def``."""

    @functools.wraps(func)
    def inner(*args, **kwargs):
        return func(*args, **kwargs)

    return inner


class _Object:
    """Callables of every kind around one ``async def``."""

    def __init__(self, work: Any) -> None:
        self.work = work

    async def __call__(self, user: str) -> Any:
        return await self.work()

    async def method(self, user: str) -> Any:
        return await self.work()

    async def _with_more(self, one: int, user: str) -> Any:
        return await self.work()

    given = functools.partialmethod(_with_more, 1)


class _Awaitable:
    """An awaitable that is not a coroutine."""

    def __init__(self, work: Any) -> None:
        self._work = work

    def __await__(self):
        return self._work().__await__()


def _shapes(work):
    async def plain(user: str) -> Any:
        return await work()

    @types.coroutine
    def generator_based(user: str) -> Any:
        return (yield from work())

    return {
        "async def": plain,
        "below a decorator": _passes_on(plain),
        "lambda": lambda user: plain(user),  # noqa: PLW0108  reason: the shape
        "static method": staticmethod(plain),
        "static method below a decorator": staticmethod(_passes_on(plain)),
        "partial": functools.partial(plain),
        "partial below a decorator": functools.partial(_passes_on(plain)),
        "object": _Object(work),
        "partial of an object": functools.partial(_Object(work)),
        "method": _Object(work).method,
        "partial of a method": functools.partial(_Object(work).method),
        "partial method": _Object(work).given,
        "generator-based": generator_based,
        "generator-based below a decorator": _passes_on(generator_based),
    }


SHAPES = pytest.mark.parametrize("shape", list(_shapes(None)))


@SHAPES
def test_a_runtime_that_does_not_await_gets_the_result(lambda_like, shape):
    """Whatever wraps the ``async def``, it runs before the invocation ends."""

    async def work() -> tuple[str | None, list[str]]:
        await asyncio.sleep(0)
        return lambda_like.ask(), list(lambda_like.events)

    handler = lambda_like.wrap(_shapes(work)[shape])

    assert not inspect.iscoroutinefunction(handler)
    assert ("alice", ["begin"]) == handler("alice")
    assert ["begin", "end"] == lambda_like.events


@SHAPES
def test_an_awaited_result_runs_inside_the_same_invocation(flags, shape):
    """On a running loop the invocation stays open until the coroutine has ended."""

    async def work() -> str | None:
        await asyncio.sleep(0)
        return flags.ask()

    handler = flags.wrap(_shapes(work)[shape])

    async def scenario() -> list[Any]:
        awaitable = handler("alice")
        before = flags.ask()
        saw = [before, await awaitable, flags.ask()]
        return [*saw, await asyncio.create_task(_await(handler("bob")))]

    assert [None, "alice", None, "bob"] == asyncio.run(scenario())
    assert ["begin", "end"] * 2 == flags.events


async def _await(awaitable: Any) -> Any:
    return await awaitable


@SHAPES
def test_the_kind_of_function_does_not_change(awaiting, shape):
    """`iscoroutinefunction` returns the same for the wrapper and the function."""
    func = _shapes(None)[shape]
    plain = func.__func__ if isinstance(func, staticmethod) else func
    expected = inspect.iscoroutinefunction(plain) or shape in {
        "object",
        "partial of an object",
        "generator-based",
    }

    wrapped = awaiting.wrap(func)
    if isinstance(func, staticmethod):
        assert isinstance(wrapped, staticmethod)
        wrapped = wrapped.__func__

    assert expected == inspect.iscoroutinefunction(wrapped)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="added in Python 3.12")
def test_marked_functions_are_coroutine_functions(flags):
    """A function that is marked as a coroutine function is awaited as one."""

    async def work(user: str) -> str | None:
        return flags.ask()

    def marked(user: str) -> Any:
        return work(user)

    handler = flags.wrap(inspect.markcoroutinefunction(marked))

    awaits = flags.cloud.awaits_handlers
    assert awaits == inspect.iscoroutinefunction(handler)
    answer = handler("alice")
    assert "alice" == (asyncio.run(answer) if awaits else answer)


def test_other_awaitables_are_run_too(lambda_like):
    """Objects with ``__await__`` and futures of the thread's loop are awaited."""

    async def work() -> str | None:
        return lambda_like.ask()

    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        of_object = lambda_like.wrap(lambda user: _Awaitable(work))("alice")
        of_future = lambda_like.wrap(lambda user: loop.create_task(work()))("alice")
    finally:
        asyncio.set_event_loop(None)
        loop.close()

    assert ("alice", "alice") == (of_object, of_future)


def test_an_object_with_await_is_returned_to_a_runtime_that_awaits(awaiting):
    """Only coroutines are wrapped: other objects are returned as they are."""
    result = _Awaitable(None)

    assert result is awaiting.wrap(lambda user: result)("alice")


def test_a_result_that_is_never_awaited_ends_its_invocation(awaiting):
    """A result that the caller never awaits leaves no invocation open."""

    async def work() -> None: ...

    handler = awaiting.wrap(lambda user: work())

    def drop() -> None:
        handler("alice")
        gc.collect()

    with pytest.warns(RuntimeWarning, match="work' was never awaited") as warned:
        drop()

    assert 1 == len(warned)
    warned.clear()
    handler("bob").close()
    assert ["begin", "end"] * 2 == awaiting.events


def test_a_wrapped_coroutine_keeps_name_result_and_exception(awaiting):
    """Its repr names the user's function; its exception is the same object."""
    error = LookupError("mine")

    async def work() -> None:
        raise error

    awaitable = awaiting.wrap(lambda user: work())("alice")

    assert "work" == awaitable.__name__
    assert "work" in awaitable.__qualname__
    with pytest.raises(LookupError) as caught:
        asyncio.run(awaitable)
    assert error is caught.value
    assert ["begin", "end"] == awaiting.events


def test_a_cancelled_coroutine_cleans_up_inside_its_invocation(awaiting):
    """A cancellation reaches the user's coroutine, and the invocation ends."""
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(awaiting.ask())

    async def scenario() -> None:
        task = asyncio.create_task(awaiting.wrap(lambda user: work())("alice"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())

    assert ["alice"] == cleaned
    assert ["begin", "end"] == awaiting.events


def test_many_types_of_results_do_not_leak(flags):
    """Only a bounded number of types is remembered, and all are returned unchanged."""
    results = [type(f"T{number}", (), {})() for number in range(300)]
    handler = flags.wrap(lambda result: result)

    assert results == [handler(result) for result in results]
