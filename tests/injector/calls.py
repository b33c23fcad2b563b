"""Call functions of each form as a platform does, and cancel them at a suspension."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from serverless_flags import FlagSession

Answers = dict[str, object]


class Call(Protocol):
    """Calls the function for a user, and cancels it at the given suspension."""

    def __call__(self, user: str, suspension: int = 0) -> Steps: ...


class Steps:
    """
    An awaitable whose suspensions are counted.

    Args:
        begin: makes the awaitable.
        cancel_at: the suspension at which the task is cancelled, from 1; 0: never.
    """

    def __init__(
        self, begin: Callable[[], Awaitable[Answers]], cancel_at: int = 0
    ) -> None:
        self._begin = begin
        self._cancel_at = cancel_at
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, Answers]:
        inner = self._begin().__await__()
        step: Callable[[], Any] = lambda: next(inner)  # noqa: E731  reason: replaced below
        while True:
            try:
                waits_for = step()
            except StopIteration as end:
                answers: Answers = end.value
                return answers
            self.suspensions += 1
            if self.suspensions == self._cancel_at:
                _cancel_soon()
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001  reason: passed on to the inner awaitable
                _uncancel()
                raised = error
                step = lambda: inner.throw(raised)  # noqa: B023, E731  reason: called at once
            else:
                step = lambda: next(inner)  # noqa: E731  reason: as above


def _cancel_soon() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)


def _uncancel() -> None:
    """Let the task continue after its function was cancelled."""
    uncancel = getattr(asyncio.current_task(), "uncancel", None)  # from 3.11 on
    if uncancel is not None:
        uncancel()


def caller(
    session: FlagSession,
    form: str,
    function: Callable[[], Answers],
    arguments: Callable[[str], tuple[Any, ...]],
) -> Call:
    """
    Return a callable that calls ``function`` in an invocation, in one of the forms.

    Args:
        session: the session.
        form: one of the forms of `Shape`.
        function: the body of the function.
        arguments: returns the platform's arguments for a user.
    """
    begin = _FORMS[form](session, function)
    return lambda user, suspension=0: Steps(lambda: begin(*arguments(user)), suspension)


def _def(session: FlagSession, function: Callable[[], Answers]) -> Any:
    @session.wrap
    def handler(*given: object) -> Answers:
        return function()

    return _awaitable(handler)


def _async(session: FlagSession, function: Callable[[], Answers]) -> Any:
    @session.wrap
    async def handler(*given: object) -> Answers:
        answers = function()
        await asyncio.sleep(0)
        return answers

    return handler


def _kept(session: FlagSession, function: Callable[[], Answers]) -> Any:
    return _awaitable(_async(session, function))


def _with(session: FlagSession, function: Callable[[], Answers]) -> Any:
    def handler(*given: object) -> Answers:
        with session.invocation(*given):
            return function()

    return _awaitable(handler)


def _async_with(session: FlagSession, function: Callable[[], Answers]) -> Any:
    async def handler(*given: object) -> Answers:
        async with session.invocation(*given):
            answers = function()
            await asyncio.sleep(0)
            return answers

    return handler


def _awaitable(handler: Callable[..., Answers]) -> Any:
    async def begin(*given: object) -> Answers:
        return handler(*given)

    return begin


_FORMS = {
    "def": _def,
    "async": _async,
    "kept": _kept,
    "with": _with,
    "async with": _async_with,
}


def run_trial(awaited: bool, steps: Coroutine[Any, Any, None]) -> None:
    """Run the steps of a trial, on an event loop if its calls are awaited."""
    if awaited:
        asyncio.run(_silently(steps))
        return
    with contextlib.suppress(StopIteration):
        steps.send(None)


async def _silently(steps: Coroutine[Any, Any, None]) -> None:
    # The loop would print an exception that is raised into one of its callbacks.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    await steps
