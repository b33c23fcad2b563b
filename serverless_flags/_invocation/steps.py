"""Coroutines and generators that run each of their steps inside one invocation."""

from __future__ import annotations

import inspect
import types
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextvars import ContextVar
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._invocation.scope import InvocationScope

    Variable = ContextVar[InvocationScope | None]
    OpenSteps = Callable[[tuple[Any, ...], dict[str, Any]], "Steps"]


class Steps:
    """
    Run the steps of a body inside an invocation that somebody else ends.

    A body is a coroutine or a generator; its steps may run in different contexts. Each
    step sees the context variable as the previous one left it, so that a body may open
    further invocations. Between the steps the variable has its value from outside.
    """

    __slots__ = ("_current", "_scope", "_variable")

    def __init__(self, variable: Variable, scope: InvocationScope) -> None:
        self._variable = variable
        self._scope = scope
        self._current: InvocationScope | None = scope
        """The value of the context variable for the next step."""

    def step(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call ``func`` inside the invocation."""
        variable = self._variable
        previous = variable.get()
        try:
            try:
                variable.set(self._current)
                return func(*args, **kwargs)
            finally:
                self._remember(variable.get())
                variable.set(previous)
        except BaseException:  # the `finally` block too may be interrupted
            variable.set(previous)
            raise

    def _remember(self, current: InvocationScope | None) -> None:
        """Keep the invocation for the next step, unless it has ended meanwhile."""
        self._current = self._scope if current is None or current.ended else current

    async def result(self, awaitable: Any) -> Any:
        """Await a coroutine, or any other awaitable, inside the invocation."""
        body = awaitable if hasattr(awaitable, "throw") else _coroutine(awaitable)
        return await _delegate_await(self, body)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: the function of the invocation ends it."""

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


class OwnSteps(Steps):
    """Run steps in an invocation that begins with the first and ends with the last."""

    __slots__ = ()

    def __init__(self, variable: Variable, scope: InvocationScope) -> None:
        super().__init__(variable, scope)
        self._current = variable.get()  # where the invocation will be opened

    def __enter__(self) -> Self:
        self.step(self._scope.__enter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.step(self._scope.__exit__, kind, error, traceback)

    async def __aenter__(self) -> Self:
        await self.result(self._scope.__aenter__())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.result(self._scope.__aexit__(kind, error, traceback))


class DeferredSteps(OwnSteps):
    """
    Run a body that the function of an invocation has returned, and then end that.

    It is created inside the ``with`` block of the invocation and defers its end:
    leaving that block only restores the context variable.
    """

    __slots__ = ("_body", "_plugins", "_process")

    def __init__(self, variable: Variable, scope: InvocationScope, body: Any) -> None:
        super().__init__(variable, scope)
        self._current = scope
        self._body: Any = body
        # without these two, a scope has no work to do at its end
        self._process, scope._process = scope._process, None  # noqa: SLF001  reason: a part of the scope's work in another file
        self._plugins, scope._plugins = scope._plugins, None  # noqa: SLF001  reason: as above

    def __enter__(self) -> Self:
        self._body = None
        self._scope.ended = False
        return self

    async def __aenter__(self) -> Self:
        return self.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()
        super().__exit__(kind, error, traceback)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()
        await super().__aexit__(kind, error, traceback)

    def _restore(self) -> None:
        self._scope._process, self._process = self._process, None  # noqa: SLF001  reason: as above
        self._scope._plugins, self._plugins = self._plugins, None  # noqa: SLF001  reason: as above

    def __del__(self) -> None:
        """End the invocation of a body that never began to run, without waiting."""
        if self._plugins is not None:
            self.__exit__(GeneratorExit, None, None)
        close = getattr(self._body, "close", None)
        if close is not None:
            close()  # else Python warns twice that the coroutine was never awaited


# -- functions -------------------------------------------------------------------------
def coroutine_function(func: Callable[..., Any], open_steps: OpenSteps) -> Any:
    """Return an ``async def`` that runs ``func`` in steps."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        async with open_steps(args, kwargs) as steps:
            return await steps.result(steps.step(func, *args, **kwargs))

    return call


def generator_function(func: Callable[..., Any], open_steps: OpenSteps) -> Any:
    """Return a generator function that runs ``func`` in steps."""

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with open_steps(args, kwargs) as steps:
            return (yield from _delegate(steps, steps.step(func, *args, **kwargs)))

    return call


def async_generator_function(func: Callable[..., Any], open_steps: OpenSteps) -> Any:
    """Return an async generator function that runs ``func`` in steps."""

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with open_steps(args, kwargs) as steps:
            body = steps.step(func, *args, **kwargs)
            resume, value = body.asend, None
            while True:
                try:
                    item = await steps.result(resume(value))
                except StopAsyncIteration:
                    return
                try:
                    resume, value = body.asend, (yield item)
                except BaseException as error:  # noqa: BLE001  reason: passed on to the body
                    resume, value = body.athrow, error

    return call


def wrap_body(result: Any, make_steps: Callable[[Any], Steps]) -> Any:
    """
    Return the result of a function; a coroutine or generator will run in steps.

    Args:
        result: what the function has returned.
        make_steps: called with a coroutine or generator, returns what runs its steps.
    """
    if isinstance(result, types.AsyncGeneratorType):
        make: Any = async_generator_function
    elif isinstance(result, Coroutine) or inspect.isawaitable(result):
        if not hasattr(result, "throw"):
            return result  # a future or a task, which runs in a context of its own
        make = coroutine_function
    elif isinstance(result, types.GeneratorType):
        make = generator_function
    else:
        return result
    steps = make_steps(result)
    call = make(lambda: result, lambda _args, _kwargs: steps)
    call.__name__ = getattr(result, "__name__", call.__name__)
    call.__qualname__ = getattr(result, "__qualname__", call.__qualname__)
    return call()


# -- steps -----------------------------------------------------------------------------
def _delegate(steps: Steps, body: Any) -> Generator[Any, Any, Any]:
    """Run a generator or coroutine in steps, as ``yield from`` does."""
    resume, value = body.send, None
    while True:
        try:
            item = steps.step(resume, value)
        except StopIteration as stop:
            return stop.value
        try:
            resume, value = body.send, (yield item)
        except BaseException as error:  # noqa: BLE001  reason: passed on to the body
            resume, value = body.throw, error


@types.coroutine
def _delegate_await(steps: Steps, body: Any) -> Generator[Any, Any, Any]:
    return (yield from _delegate(steps, body))


async def _coroutine(awaitable: Any) -> Any:
    return await awaitable
