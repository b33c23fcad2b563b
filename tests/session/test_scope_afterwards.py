"""Work that an invocation began and did not wait for, after the invocation's end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

WAIT = 20.0
"""Seconds; a bound against hanging only."""


@pytest.fixture(name="flags", params=["lean", "unleash"])
def _flags(request, make, server):
    """Return a started session with a flag for each of two users."""
    server.flags = {"alice": ["alice"], "bob": ["bob"], "all": True}
    flags = make(client=request.param)
    flags.start()
    return flags


def _sees(flags) -> str:
    """Return whose flags are on in the current context."""
    on = [user for user in ("alice", "bob") if flags.is_enabled(user)]
    return " and ".join(on) or "no user"


def _in_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(WAIT)


class TestAfterwards:
    """Threads and tasks that outlive their invocation."""

    def test_a_thread_in_its_context_is_outside_afterwards(self, flags) -> None:
        """During the invocation a thread is inside it; afterwards it is outside."""
        with flags.invocation(context={"userId": "alice"}):
            context = contextvars.copy_context()
            during = _in_thread(lambda: context.run(_sees, flags))

        assert "alice" == during
        assert "no user" == _in_thread(lambda: context.run(_sees, flags))

    def test_a_task_keeps_its_invocation(self, flags) -> None:
        """It was begun in the invocation and keeps its user."""

        async def later(ended: asyncio.Event) -> str:
            await ended.wait()
            return _sees(flags)

        @flags.wrap
        async def handler(ended: asyncio.Event) -> asyncio.Task:
            with flags.invocation(context={"userId": "alice"}):
                return asyncio.create_task(later(ended))

        async def main() -> tuple[str, str]:
            ended = asyncio.Event()
            task = await handler(ended)
            ended.set()
            return _sees(flags), await task

        assert ("no user", "alice") == asyncio.run(main())

    def test_a_callback_of_a_loop_is_outside(self, flags) -> None:
        """`call_soon` copies the context, but a callback is not a task."""

        async def main() -> list[str]:
            saw, done = [], asyncio.Event()

            def callback() -> None:
                saw.append(_sees(flags))
                done.set()

            async with flags.invocation(context={"userId": "alice"}):
                asyncio.get_running_loop().call_later(0, callback)
            await done.wait()
            return saw

        assert ["no user"] == asyncio.run(main())

    def test_a_task_of_the_next_invocation_has_its_own(self, flags) -> None:
        """A task begun in bob's invocation is bob's, even if alice's task called it."""

        async def serve(user: str) -> str:
            async with flags.invocation(context={"userId": user}):
                await asyncio.sleep(0)
                return _sees(flags)

        async def main() -> list[str]:
            return await asyncio.gather(*(serve(u) for u in ("alice", "bob") * 4))

        assert ["alice", "bob"] * 4 == asyncio.run(main())

    def test_a_detached_invocation_outlives_it(self, flags) -> None:
        """It has the same context, for work that continues after the end."""
        with flags.invocation(context={"userId": "alice"}) as here:
            carried = here.detached()
        flags._core.scope.set(carried)
        try:
            saw = _sees(flags)
        finally:
            flags._core.scope.set(None)

        assert "alice" == saw
        assert (True, False) == (here.ended, carried.ended)
        assert here.invocation is carried.invocation

    def test_threads_with_their_own_invocations(self, flags) -> None:
        """Each thread has its own user, however the invocations overlap."""
        gate = threading.Barrier(2)

        def serve(user: str) -> list[str]:
            with flags.invocation(context={"userId": user}):
                saw = []
                for _ in range(5):
                    gate.wait(WAIT)
                    saw.append(_sees(flags))
                return saw

        with ThreadPoolExecutor(2) as pool:
            alice, bob = pool.map(serve, ("alice", "bob"))

        assert (["alice"] * 5, ["bob"] * 5) == (alice, bob)
