"""A streamed body runs inside its invocation, step by step, wherever the steps run."""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def _in_thread(func: Callable[..., Any], *args: Any) -> Any:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(func(*args)))
    thread.start()
    thread.join()
    return answers[0]


def _in_context(func: Callable[..., Any], *args: Any) -> Any:
    return contextvars.copy_context().run(func, *args)


def _here(func: Callable[..., Any], *args: Any) -> Any:
    return func(*args)


def _passes_on(func):
    """Decorate as most libraries do: the inner function is a plain ``def``."""

    @functools.wraps(func)
    def inner(*args, **kwargs):
        return func(*args, **kwargs)

    return inner


def _bare(func):
    return func


DECORATED = pytest.mark.parametrize("decorated", [_bare, _passes_on])
WHEREVER = pytest.mark.parametrize("wherever", [_here, _in_context, _in_thread])


@WHEREVER
@DECORATED
def test_each_step_has_the_invocations_context(flags, decorated, wherever):
    """Each step has its user, and the code between the steps has none."""

    @flags.wrap
    @decorated
    def body(user: str) -> Iterator[str | None]:
        for _ in range(3):
            yield flags.ask()

    steps = body("alice")
    saw = []
    for _ in range(3):
        saw.append(wherever(next, steps))
        saw.append(flags.ask())

    assert ["alice", None] * 3 == saw


@DECORATED
def test_the_invocation_ends_with_the_body(flags, decorated):
    """It begins once and ends once, when the generator is exhausted."""

    @flags.wrap
    @decorated
    def body(user: str) -> Iterator[int]:
        yield 1

    steps = body("alice")

    assert next(steps) == 1
    assert ["begin"] == flags.events
    assert [] == list(steps)
    assert ["begin", "end"] == flags.events


@DECORATED
def test_closing_a_body_ends_its_invocation(flags, decorated):
    """When a client disconnects, the body cleans up inside its invocation."""
    cleaned = []

    @flags.wrap
    @decorated
    def body(user: str) -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(flags.ask())

    steps = body("alice")
    next(steps)
    steps.close()

    assert ["alice"] == cleaned
    assert ["begin", "end"] == flags.events
    assert flags.ask() is None


@DECORATED
@pytest.mark.parametrize("drop", ["close", "collect"])
def test_a_body_that_never_begins_leaves_nothing_open(flags, decorated, drop):
    """A HEAD request closes the body unread; other code drops it."""

    @flags.wrap
    @decorated
    def body(user: str) -> Iterator[int]:
        yield 1

    steps = body("alice")
    if drop == "close":
        steps.close()
    del steps

    assert flags.events in ([], ["begin", "end"])
    assert flags.ask() is None


def test_two_bodies_in_turn_keep_their_own_users(flags):
    """Bodies that are served alternately on one thread do not see each other."""

    @flags.wrap
    def body(user: str) -> Iterator[str | None]:
        while True:
            yield flags.ask()

    alice, bob = body("alice"), body("bob")
    saw = [next(steps) for steps in (alice, bob, alice, bob)]
    alice.close()
    saw.append(next(bob))
    bob.close()

    assert ["alice", "bob", "alice", "bob", "bob"] == saw
    assert flags.ask() is None
    assert ["begin", "begin", "end", "end"] == flags.events


@WHEREVER
def test_a_body_may_open_further_invocations(flags, wherever):
    """An invocation that the body opens lasts over its steps to the block's end."""

    @flags.wrap
    def body(user: str) -> Iterator[str | None]:
        yield flags.ask()
        with flags.invocation(context={"userId": "bob"}):
            yield flags.ask()
            yield flags.ask()
        yield flags.ask()

    steps = body("alice")
    saw = [wherever(next, steps) for _ in range(4)]

    assert ["alice", "bob", "bob", "alice"] == saw
    assert flags.ask() is None


def test_a_generator_keeps_its_protocol(flags):
    """Sent values and raised exceptions reach it, and its result is returned."""

    @flags.wrap
    def body(user: str) -> Iterator[Any]:
        sent = yield "first"
        try:
            yield sent
        except ValueError as error:
            caught = error
        yield caught
        return "returned"

    def outer() -> Iterator[Any]:
        saw.append((yield from body("alice")))

    saw: list[Any] = []
    steps, thrown = outer(), ValueError("thrown")

    assert "first" == next(steps)
    assert "sent" == steps.send("sent")
    assert thrown is steps.throw(thrown)
    assert [] == list(steps)
    assert ["returned"] == saw


def test_a_bodys_exception_propagates_unchanged(flags):
    """The caller gets the same object, and the invocation has ended."""
    error = LookupError("mine")

    @flags.wrap
    def body(user: str) -> Iterator[int]:
        yield 1
        raise error

    steps = body("alice")
    next(steps)
    with pytest.raises(LookupError) as caught:
        next(steps)

    assert error is caught.value
    assert ["begin", "end"] == flags.events


def test_a_wrapped_generator_function_stays_one(flags):
    """Frameworks that inspect the function see its kind, name and signature."""

    def body(user: str, *, size: int = 1) -> Iterator[int]:
        """Stream."""
        yield size

    async def stream(user: str) -> AsyncIterator[int]:
        yield 1

    wrapped = flags.wrap(body)

    assert inspect.isgeneratorfunction(wrapped)
    assert inspect.isasyncgenfunction(flags.wrap(stream))
    assert ("body", "Stream.") == (wrapped.__name__, wrapped.__doc__)
    assert inspect.signature(body) == inspect.signature(wrapped)
    assert wrapped is flags.wrap(wrapped)
    assert [2] == list(wrapped("alice", size=2))
