"""Coroutines and generators whose every step runs inside one invocation."""

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
    Opening = Callable[[tuple[Any, ...], dict[str, Any]], "Steps"]


class Steps:
    """
    The invocation of a body that runs in steps, perhaps in several contexts.

    Each step finds the context variable as the step before has left it, so a body may
    open invocations of its own; the code between the steps finds what it had.
    """

    __slots__ = ("_left", "_scope", "_variable")

    def __init__(self, variable: Variable, scope: InvocationScope) -> None:
        self._variable = variable
        self._scope = scope
        self._left: InvocationScope | None = scope

    def step(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call ``func`` inside the invocation."""
        variable = self._variable
        previous = variable.get()
        try:
            try:
                variable.set(self._left)
                return func(*args, **kwargs)
            finally:
                self._leave(variable.get())
                variable.set(previous)
        except BaseException:  # the lines above may be interrupted as any others
            variable.set(previous)
            raise

    def _leave(self, left: InvocationScope | None) -> None:
        """Remember where the next step goes on: never in what has ended meanwhile."""
        self._left = self._scope if left is None or left.ended else left

    async def result(self, awaitable: Any) -> Any:
        """Await a coroutine, or any other awaitable, inside the invocation."""
        body = awaitable if hasattr(awaitable, "throw") else _coroutine(awaitable)
        return await _each_await(self, body)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the invocation as it is: its own function ends it."""

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


class OpenedSteps(Steps):
    """An invocation that begins with the first step and ends with the last."""

    __slots__ = ()

    def __init__(self, variable: Variable, scope: InvocationScope) -> None:
        super().__init__(variable, scope)
        self._left = variable.get()  # what the invocation is opened in

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


class KeptSteps(OpenedSteps):
    """
    An invocation whose function has returned a body that is still to run.

    Made inside the ``with`` block of the invocation, it takes the end of the invocation
    over: leaving that block restores the context variable and nothing else.
    """

    __slots__ = ("_body", "_process", "_plugins")

    def __init__(self, variable: Variable, scope: InvocationScope, body: Any) -> None:
        super().__init__(variable, scope)
        self._left = scope
        self._body: Any = body
        # a scope that has none of both does no work at its end
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
        self._give_back()
        super().__exit__(kind, error, traceback)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back()
        await super().__aexit__(kind, error, traceback)

    def _give_back(self) -> None:
        self._scope._process, self._process = self._process, None  # noqa: SLF001  reason: as above
        self._scope._plugins, self._plugins = self._plugins, None  # noqa: SLF001  reason: as above

    def __del__(self) -> None:
        """End the invocation of a body that was never begun, without waiting."""
        if self._plugins is not None:
            self.__exit__(GeneratorExit, None, None)
        close = getattr(self._body, "close", None)
        if close is not None:
            close()  # else a coroutine would be reported a second time


# -- functions -------------------------------------------------------------------------
def coroutine_function(func: Callable[..., Any], opening: Opening) -> Any:
    """Return an ``async def`` that runs ``func`` in steps."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        async with opening(args, kwargs) as steps:
            return await steps.result(steps.step(func, *args, **kwargs))

    return call


def generator_function(func: Callable[..., Any], opening: Opening) -> Any:
    """Return a generator function that runs ``func`` in steps."""

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with opening(args, kwargs) as steps:
            return (yield from _each(steps, steps.step(func, *args, **kwargs)))

    return call


def async_generator_function(func: Callable[..., Any], opening: Opening) -> Any:
    """Return an async generator function that runs ``func`` in steps."""

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with opening(args, kwargs) as steps:
            body = steps.step(func, *args, **kwargs)
            resume, value = body.asend, None
            while True:
                try:
                    item = await steps.result(resume(value))
                except StopAsyncIteration:
                    return
                try:
                    resume, value = body.asend, (yield item)
                except BaseException as error:  # noqa: BLE001  reason: the body's to handle
                    resume, value = body.athrow, error

    return call


def carried(result: Any, steps: Callable[[Any], Steps]) -> Any:
    """Return what a function has returned; a body that runs later runs in ``steps``."""
    if isinstance(result, types.AsyncGeneratorType):
        make: Any = async_generator_function
    elif isinstance(result, Coroutine) or inspect.isawaitable(result):
        if not hasattr(result, "throw"):
            return result  # a future or a task: it runs in a context of its own
        make = coroutine_function
    elif isinstance(result, types.GeneratorType):
        make = generator_function
    else:
        return result
    kept = steps(result)
    call = make(lambda: result, lambda _args, _kwargs: kept)
    call.__name__ = getattr(result, "__name__", call.__name__)
    call.__qualname__ = getattr(result, "__qualname__", call.__qualname__)
    return call()


# -- steps -----------------------------------------------------------------------------
def _each(steps: Steps, body: Any) -> Generator[Any, Any, Any]:
    """Run a generator, or what can be driven as one, as ``yield from`` does."""
    resume, value = body.send, None
    while True:
        try:
            item = steps.step(resume, value)
        except StopIteration as stop:
            return stop.value
        try:
            resume, value = body.send, (yield item)
        except BaseException as error:  # noqa: BLE001  reason: the body's to handle
            resume, value = body.throw, error


@types.coroutine
def _each_await(steps: Steps, body: Any) -> Generator[Any, Any, Any]:
    return (yield from _each(steps, body))


async def _coroutine(awaitable: Any) -> Any:
    return await awaitable
