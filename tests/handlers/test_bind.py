"""A bound function of any kind runs in the invocation in which it was bound."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def _passes_on(func):
    @functools.wraps(func)
    def inner(*args, **kwargs):
        return func(*args, **kwargs)

    return inner


class _Object:
    def __init__(self, ask: Any) -> None:
        self._ask = ask

    def __call__(self) -> Any:
        return self._ask()


class _AsyncObject(_Object):
    async def __call__(self) -> Any:
        await asyncio.sleep(0)
        return self._ask()

    async def method(self) -> Any:
        return self._ask()


def _shapes(ask: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    def plain() -> Any:
        return ask()

    return {
        "def": plain,
        "lambda": lambda: ask(),  # noqa: PLW0108  reason: the shape is the point
        "partial": functools.partial(plain),
        "object": _Object(ask),
        "static method": staticmethod(plain),
        **_later_shapes(ask),
    }


def _later_shapes(ask: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    async def coroutine() -> Any:
        await asyncio.sleep(0)
        return ask()

    def generator() -> Iterator[Any]:
        yield ask()
        yield ask()

    async def stream() -> AsyncIterator[Any]:
        yield ask()
        await asyncio.sleep(0)
        yield ask()

    @types.coroutine
    def generator_based() -> Any:
        return (yield from coroutine())

    return {
        "async def": coroutine,
        "async def below a decorator": _passes_on(coroutine),
        "partial of an async def": functools.partial(coroutine),
        "async object": _AsyncObject(ask),
        "partial of an async object": functools.partial(_AsyncObject(ask)),
        "async method": _AsyncObject(ask).method,
        "types.coroutine": generator_based,
        "generator": generator,
        "generator below a decorator": _passes_on(generator),
        "async generator": stream,
        "async generator below a decorator": _passes_on(stream),
    }


def _exhaust(result: Any) -> Any:
    """Return everything that a result yields, step by step."""
    if inspect.isgenerator(result) and not inspect.isawaitable(result):
        return list(result)
    if inspect.isasyncgen(result):

        async def collect() -> list[Any]:
            return [one async for one in result]

        return asyncio.run(collect())
    if inspect.isawaitable(result):

        async def wait() -> Any:
            return await result

        return asyncio.run(wait())
    return result


SHAPES = pytest.mark.parametrize("shape", list(_shapes(lambda: None)))


@SHAPES
@pytest.mark.parametrize("ended", [False, True])
def test_a_bound_function_runs_in_its_invocation_on_a_thread(flags, shape, ended):
    """Each step has its context, even after the invocation has ended."""
    answers = []

    def work() -> None:
        answers.append(_exhaust(bound()))
        answers.append(flags.ask())

    thread = threading.Thread(target=work)
    with flags.invocation("alice"):
        bound = flags.bind(_shapes(flags.ask)[shape])
        if not ended:
            thread.start()
            thread.join()
    if ended:
        thread.start()
        thread.join()

    answer = ["alice"] * 2 if "generator" in shape else "alice"
    assert [answer, None] == answers


@SHAPES
def test_a_bound_function_runs_in_its_invocation_inside_another(flags, shape):
    """The invocation that calls it has its own context before and after."""
    with flags.invocation("alice"):
        bound = flags.bind(_shapes(flags.ask)[shape])
    with flags.invocation("bob"):
        saw = [flags.ask(), _exhaust(bound()), flags.ask()]

    answer = ["alice"] * 2 if "generator" in shape else "alice"
    assert ["bob", answer, "bob"] == saw
    assert flags.ask() is None


def test_between_the_steps_the_outer_context_applies(flags):
    """A bound generator does not show its invocation to its consumer."""

    def generator() -> Iterator[str | None]:
        yield flags.ask()
        yield flags.ask()

    with flags.invocation("alice"):
        steps = flags.bind(generator)()
    with flags.invocation("bob"):
        saw = [next(steps), flags.ask(), next(steps), flags.ask()]

    assert ["alice", "bob", "alice", "bob"] == saw


def test_bound_coroutines_in_parallel_keep_their_contexts(flags):
    """Coroutines of several invocations on one loop do not see each other."""

    async def ask() -> list[str | None]:
        saw = [flags.ask()]
        await asyncio.sleep(0)
        return [*saw, flags.ask()]

    bounds = []
    for user in ("alice", "bob"):
        with flags.invocation(user):
            bounds.append(flags.bind(ask))

    async def scenario() -> list[list[str | None]]:
        return await asyncio.gather(*(bound() for bound in bounds))

    assert [["alice"] * 2, ["bob"] * 2] == asyncio.run(scenario())


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_the_context_is_restored_whatever_a_bound_function_raises(flags, error):
    """The exception propagates, and the outer invocation has its context again."""

    def fails() -> None:
        raise error

    with flags.invocation("alice"):
        bound = flags.bind(fails)
    with flags.invocation("bob"):
        with pytest.raises(type(error)) as caught:
            bound()
        assert "bob" == flags.ask()

    assert error is caught.value


def test_a_bound_function_is_of_the_same_kind(flags):
    """A coroutine function stays one, with name and signature; so do generators."""
    shapes = _shapes(flags.ask)
    with flags.invocation("alice"):
        bound = {name: flags.bind(func) for name, func in shapes.items()}

    assert inspect.iscoroutinefunction(bound["async def"])
    assert inspect.iscoroutinefunction(bound["async object"])
    assert inspect.isgeneratorfunction(bound["generator"])
    assert inspect.isasyncgenfunction(bound["async generator"])
    assert not inspect.iscoroutinefunction(bound["def"])
    assert "coroutine" == bound["partial of an async def"].__name__
    assert inspect.signature(shapes["def"]) == inspect.signature(bound["def"])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="added in Python 3.12")
def test_a_marked_function_may_return_any_awaitable(flags):
    """An awaitable that it returns is awaited inside the invocation."""

    class Answer:
        def __await__(self) -> Iterator[Any]:
            yield from asyncio.sleep(0).__await__()
            return flags.ask()

    def marked() -> Answer:
        return Answer()

    with flags.invocation("alice"):
        bound = flags.bind(inspect.markcoroutinefunction(marked))

    assert inspect.iscoroutinefunction(bound)
    assert "alice" == asyncio.run(bound())


def test_a_bound_class_makes_its_instances_inside(flags):
    """Flags that a constructor evaluates are evaluated in the invocation."""

    class Worker:
        """Evaluate a flag."""

        def __init__(self) -> None:
            self.user = flags.ask()

    with flags.invocation("alice"):
        bound = flags.bind(Worker)

    assert "alice" == bound().user
    assert ("Worker", "Evaluate a flag.") == (bound.__name__, bound.__doc__)


def test_outside_an_invocation_bind_does_nothing(flags):
    """The function itself is returned and runs in the invocation that calls it."""
    bound = flags.bind(flags.ask)

    with flags.invocation("alice"):
        assert "alice" == bound()
    assert bound() is None


def test_an_invocation_that_has_ended_is_not_bound(flags):
    """An ended invocation that a copied context still holds does not apply."""
    context, scope = contextvars.copy_context(), flags.invocation("alice")
    context.run(scope.__enter__)
    scope.__exit__(None, None, None)

    bound = context.run(flags.bind, flags.ask)

    assert bound() is None


def test_a_task_that_outlives_its_invocation_binds_its_context(flags):
    """In a task, the context applies even after the invocation has ended."""
    ended = asyncio.Event()

    async def work() -> Any:
        await ended.wait()
        return flags.bind(flags.ask)

    async def scenario() -> Any:
        async with flags.invocation("alice"):
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
        ended.set()
        return await task

    assert "alice" == asyncio.run(scenario())()


@pytest.mark.parametrize("inside", [True, False])
def test_what_cannot_be_called_cannot_be_bound(flags, inside):
    """Passing the result of a call instead of the function raises at once."""
    work = (one for one in ())

    around = flags.invocation("alice") if inside else contextlib.nullcontext()

    with (
        around,
        pytest.raises(TypeError, match="bind takes a callable, not generator: give"),
    ):
        flags.bind(work)
