"""The wrapper leaves the function's name, arguments, result and exception unchanged."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import typing

import pytest

from serverless_flags import FlagSession, Platform, hookimpl
from serverless_flags.clients.memory import MemoryClient


@pytest.fixture(name="flags")
def _flags(cloud):
    with FlagSession(client=MemoryClient({"on": True}), plugins=[cloud()]) as flags:
        yield flags


@pytest.fixture(name="lambda_like")
def _lambda_like(cloud):
    """A platform whose runtime does not await handlers, as AWS Lambda."""
    platform = cloud(awaits_handlers=False)
    with FlagSession(client=MemoryClient({"on": True}), plugins=[platform]) as flags:
        yield flags


def test_a_function_keeps_its_name_signature_and_annotations(flags):
    """Frameworks that inspect the wrapper see the user's function."""

    def handler(event: dict[str, int], *, context: int = 0) -> str:
        """Answer."""
        return "answer"

    wrapped = flags.wrap(handler)

    assert inspect.isfunction(wrapped)
    assert ("handler", "Answer.") == (wrapped.__name__, wrapped.__doc__)
    assert inspect.signature(handler) == inspect.signature(wrapped)
    assert typing.get_type_hints(handler) == typing.get_type_hints(wrapped)
    assert "answer" == wrapped({}, context=1)


def test_async_def_stays_async_def(flags):
    """A coroutine function is wrapped as one, and its result is returned."""

    @flags.wrap
    async def handler(event: str) -> str:
        return event * 2

    assert inspect.iscoroutinefunction(handler)
    assert "abab" == asyncio.run(handler("ab"))


def _add(one: int, event: int) -> int:
    return event + one


def test_wrapping_twice_changes_nothing(flags):
    """A wrapper of this session is returned unchanged."""
    wrapped = flags.wrap(_add)

    assert wrapped is flags.wrap(wrapped)


def test_nested_wraps_are_one_invocation(cloud):
    """A wrapped function that calls a wrapped function is one invocation."""
    begun = []

    class Counting(cloud):
        @hookimpl
        def begin_invocation(self) -> None:
            begun.append("begin")

        @hookimpl
        def end_invocation(self) -> None:
            begun.append("end")

    flags = FlagSession(client=MemoryClient({"on": True}), plugins=[Counting()])
    inner = flags.wrap(lambda: flags.is_enabled("on"))
    outer = flags.wrap(lambda: inner() and inner())

    assert outer() is True
    assert ["begin", "end"] == begun
    flags.close()


def test_two_sessions_may_wrap_one_function(cloud):
    """Each session has its own invocation around the same function."""
    first = FlagSession(client=MemoryClient({"a": True}), plugins=[cloud()])
    second = FlagSession(client=MemoryClient({"b": True}), plugins=[cloud()])

    @first.wrap
    @second.wrap
    def handler() -> tuple[bool, bool]:
        return first.is_enabled("a"), second.is_enabled("b")

    assert (True, True) == handler()
    first.close()
    second.close()


@pytest.mark.parametrize(
    "error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()]
)
def test_the_users_exception_propagates_unchanged(flags, error):
    """The caller gets the same object."""

    @flags.wrap
    def handler() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        handler()

    assert error is caught.value


def test_the_users_exception_propagates_unchanged_when_async(flags):
    """The same holds for a coroutine, cancellation included."""

    @flags.wrap
    async def handler() -> None:
        raise asyncio.CancelledError

    async def scenario() -> None:
        with pytest.raises(asyncio.CancelledError):
            await handler()

    asyncio.run(scenario())


def test_a_streamed_body_may_open_an_invocation(flags):
    """Inside a generator, `invocation` joins the invocation of the generator."""

    @flags.wrap
    def handler() -> typing.Iterator[str]:
        with flags.invocation():
            yield str(flags.is_enabled("on"))
        yield "end"

    assert ["True", "end"] == list(handler())


def test_invocation_is_the_same_as_a_context_manager(flags):
    """``with`` and ``async with`` do what `wrap` does, with the caller's context."""
    client = flags._core.settings.client
    with flags.invocation("event", context={"userId": "7"}):
        flags.is_enabled("on")

    async def scenario() -> None:
        async with flags.invocation(context={"userId": "8"}):
            flags.is_enabled("on")
            async with flags.invocation(context={"sessionId": "s"}):
                flags.is_enabled("on")

    asyncio.run(scenario())

    assert [
        {"userId": "7"},
        {"userId": "8"},
        {"userId": "8", "sessionId": "s"},
    ] == client.contexts


def test_a_runtime_that_does_not_await_gets_a_plain_function(lambda_like):
    """The ``async def`` runs on one event loop, on the calling thread."""
    loops = []

    @lambda_like.wrap
    async def handler(event: int) -> bool:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return lambda_like.is_enabled("on")

    assert not inspect.iscoroutinefunction(handler)
    assert (True, True) == (handler(1), handler(2))
    assert loops[0] is loops[1]
    assert not loops[0].is_closed()
    loops[0].close()
    assert handler(3) is True
    assert loops[2] is not loops[0]
    loops[2].close()


def test_such_a_function_can_still_be_awaited(lambda_like):
    """Called on a running loop, as in a test, it returns a coroutine."""

    @lambda_like.wrap
    async def handler() -> bool:
        return lambda_like.is_enabled("on")

    async def scenario() -> bool:
        return await handler()

    assert asyncio.run(scenario()) is True


def test_a_failing_hook_never_affects_the_function(caplog):
    """Every hook may fail: the function runs, and the log names the plugin."""

    class Broken(Platform):
        name = "broken"

        @hookimpl
        def detect_platform(self) -> Platform:
            return self

        @hookimpl
        def connect_instance(self) -> bool:
            raise RuntimeError

        @hookimpl
        def read_invocation(self) -> None:
            raise RuntimeError

        @hookimpl
        def begin_invocation(self) -> None:
            raise RuntimeError

        @hookimpl
        def end_invocation(self) -> None:
            raise RuntimeError

    flags = FlagSession(client=MemoryClient({"on": True}), plugins=[Broken()])
    handler = flags.wrap(lambda: flags.is_enabled("on"))

    assert [True, True] == [handler(), handler()]
    assert 4 == caplog.text.count("plugin 'broken' failed")
    flags.close()


def test_a_scope_left_in_another_context_is_left_all_the_same(flags):
    """A generator may be closed in another context than it was opened in."""
    scope = flags.invocation(context={"userId": "7"})
    contextvars.copy_context().run(scope.__enter__)

    scope.__exit__(None, None, None)

    assert scope.ended
    assert flags.is_enabled("on") is True
    assert {} == flags._core.settings.client.contexts[-1]


def test_a_task_that_outlives_its_invocation_starts_its_own(flags):
    """A wrapped call in a task that outlives its invocation is a new invocation."""

    @flags.wrap
    async def handler(user: str) -> bool:
        with flags.invocation(context={"userId": user}):
            return flags.is_enabled("on")

    async def scenario() -> None:
        async with flags.invocation(context={"userId": "outer"}):
            task = asyncio.create_task(handler("inner"))
        await task

    asyncio.run(scenario())

    assert {"userId": "inner"} == flags._core.settings.client.contexts[-1]


def test_bind_brings_the_context_to_a_thread(flags):
    """A function on another thread has the invocation's context only when bound."""
    client = flags._core.settings.client

    def ask() -> None:
        flags.is_enabled("on")

    with flags.invocation(context={"userId": "7"}):
        for work in (flags.bind(ask), ask):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

    assert [{"userId": "7"}, {}] == client.contexts
