"""A streamed async body runs inside its invocation, step by step."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def _passes_on(func):
    """Decorate as most libraries do: the inner function is a plain ``def``."""

    @functools.wraps(func)
    def inner(*args, **kwargs):
        return func(*args, **kwargs)

    return inner


def _bare(func):
    return func


DECORATED = pytest.mark.parametrize("decorated", [_bare, _passes_on])


@DECORATED
def test_an_async_body_has_its_context_and_ends_its_invocation(flags, decorated):
    """Each step has its user, also in tasks; the code between them has none."""

    @flags.wrap
    @decorated
    async def body(user: str) -> AsyncIterator[str | None]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield flags.ask()

    async def scenario() -> list[str | None]:
        saw, steps = [], body("alice")
        for _ in range(2):
            saw.append(await asyncio.create_task(_next(steps)))
            saw.append(flags.ask())
        assert ["begin"] == flags.events
        assert [one async for one in steps] == []
        return saw

    assert ["alice", None] * 2 == asyncio.run(scenario())
    assert ["begin", "end"] == flags.events


async def _next(steps: Any) -> Any:
    return await anext(steps)


@DECORATED
def test_closing_an_async_body_ends_its_invocation(flags, decorated):
    """The clean-up of the body runs inside its invocation and may await."""
    cleaned = []

    @flags.wrap
    @decorated
    async def body(user: str) -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            cleaned.append(flags.ask())

    async def scenario() -> str | None:
        async with contextlib.aclosing(body("alice")) as steps:
            await anext(steps)
        return flags.ask()

    assert asyncio.run(scenario()) is None
    assert ["alice"] == cleaned
    assert ["begin", "end"] == flags.events


def test_an_async_generator_keeps_its_protocol(flags):
    """Sent values and raised exceptions reach it; its own exception propagates."""
    error = LookupError("mine")

    @flags.wrap
    async def body(user: str) -> AsyncIterator[Any]:
        sent = yield "first"
        try:
            yield sent
        except ValueError as thrown:
            caught = thrown
        yield caught
        raise error

    async def scenario() -> list[Any]:
        steps, thrown = body("alice"), ValueError("thrown")
        saw = [await anext(steps), await steps.asend("sent")]
        assert thrown is await steps.athrow(thrown)
        with pytest.raises(LookupError) as caught:
            await anext(steps)
        return [*saw, caught.value]

    assert ["first", "sent", error] == asyncio.run(scenario())
