"""What an invocation began and did not wait for, and whose it is afterwards."""

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
    """Return whose flags are on here."""
    on = [user for user in ("alice", "bob") if flags.is_enabled(user)]
    return " and ".join(on) or "nobody"


def _in_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(WAIT)


class TestAfterwards:
    """What an invocation began and did not wait for."""

    def test_a_thread_with_its_context_is_nobodys(self, flags) -> None:
        """While the invocation lasts it is its user's; threads have no end."""
        with flags.invocation(context={"userId": "alice"}):
            context = contextvars.copy_context()
            during = _in_thread(lambda: context.run(_sees, flags))

        assert "alice" == during
        assert "nobody" == _in_thread(lambda: context.run(_sees, flags))

    def test_a_task_keeps_it(self, flags) -> None:
        """It was begun in the invocation, and works for its user."""

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

        assert ("nobody", "alice") == asyncio.run(main())

    def test_the_callbacks_of_a_loop_are_nobodys(self, flags) -> None:
        """`call_soon` copies the context, and is no task."""

        async def main() -> list[str]:
            saw, done = [], asyncio.Event()

            def callback() -> None:
                saw.append(_sees(flags))
                done.set()

            async with flags.invocation(context={"userId": "alice"}):
                asyncio.get_running_loop().call_later(0, callback)
            await done.wait()
            return saw

        assert ["nobody"] == asyncio.run(main())

    def test_a_task_of_the_next_invocation_has_its_own(self, flags) -> None:
        """What began in bob's is bob's, though it was called from alice's task."""

        async def serve(user: str) -> str:
            async with flags.invocation(context={"userId": user}):
                await asyncio.sleep(0)
                return _sees(flags)

        async def main() -> list[str]:
            return await asyncio.gather(*(serve(u) for u in ("alice", "bob") * 4))

        assert ["alice", "bob"] * 4 == asyncio.run(main())

    def test_a_carried_one_outlives_it(self, flags) -> None:
        """The same context, for work that goes on after the end."""
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
        """Each thread has its own user, however they are interleaved."""
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
