"""A start continues although an exception interrupts the threads waiting for it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import Invocation, State, hookimpl

WAIT = 20.0
"""Seconds; a bound against hanging only."""


class OvertimeError(Exception):
    """An exception that a framework raises in a request that takes too long."""


class Abort(BaseException):
    """A `BaseException` that stops a worker."""


errors = pytest.mark.parametrize(
    "error", [OvertimeError, Abort, KeyboardInterrupt, SystemExit]
)
clients = pytest.mark.parametrize("client", ["lean", "unleash"])


class TestInterrupted:
    """An exception on a waiting thread interrupts only the wait."""

    @errors
    @clients
    def test_by_a_signal(
        self, make, server, interrupt, raising, until, error, client
    ) -> None:
        """It propagates; the start continues its one request and loads the flags."""
        server.answers.clear()
        flags = make(client=client)
        handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
        interrupt(raising(error), server.arrived.acquire)
        with pytest.raises(error):
            handler()
        during_the_start = flags.status.state
        server.answers.set()

        assert State.STARTING is during_the_start
        assert until(lambda: flags.status.state is State.READY)
        assert handler() is True
        assert 1 == server.asked("GET")
        assert flags.flush(WAIT)
        assert 1 == server.counted()

    def test_by_a_cancellation(self, make, server, until) -> None:
        """A task that is cancelled while it waits cancels nothing else."""
        server.answers.clear()
        flags = make()

        @flags.wrap
        async def handler() -> bool:
            return flags.is_enabled("simpleFlag")

        async def scenario() -> bool:
            task = asyncio.create_task(handler())
            await asyncio.to_thread(server.arrived.acquire)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.answers.set()
            return await handler()

        assert asyncio.run(scenario()) is True
        assert 1 == server.asked("GET")

    @pytest.mark.parametrize("error", [Abort, KeyboardInterrupt])
    @pytest.mark.parametrize("at", ["wrap", "first_invocation"])
    def test_while_the_signals_are_connected(
        self, make, cloud, server, raising, error, at
    ) -> None:
        """Connecting is repeated, because it was not completed."""
        faults = [raising(error)]

        class Cut(cloud):
            @hookimpl
            def connect_instance(self, at: str) -> bool:
                if at == wanted and faults:
                    faults.pop()()
                return super().connect_instance(at)

        wanted, platform = at, Cut()
        flags = make(platform)
        with pytest.raises(error):
            flags.wrap(lambda: None)()
        handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

        assert handler() is True
        assert 1 == platform.events.count(("connect", at))
        assert "connected" == flags.status.termination

    def test_only_one_of_many_waits_is_interrupted(
        self, make, server, interrupt, raising
    ) -> None:
        """The other threads get the flags of the start that all waited for."""
        server.answers.clear()
        flags = make()
        handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
        interrupt(raising(Abort), server.arrived.acquire)
        with ThreadPoolExecutor(4) as pool:
            others = [pool.submit(handler) for _ in range(4)]
            with pytest.raises(Abort):
                handler()
            server.answers.set()
            answers = [other.result(WAIT) for other in others]

        assert [True] * 4 == answers
        assert 1 == server.asked("GET")


class TestTogether:
    """Everything that needs flags during a start waits for that start."""

    def test_threads_and_a_loop_share_one_start(self, make, server) -> None:
        """Ten sync and async invocations make one request."""
        flags = make()
        handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
        gate = threading.Barrier(11)

        @flags.wrap
        async def awaited() -> bool:
            return flags.is_enabled("simpleFlag")

        async def main() -> list[bool]:
            gate.wait(WAIT)
            return await asyncio.gather(*(awaited() for _ in range(10)))

        def call() -> bool:
            gate.wait(WAIT)
            return handler()

        with ThreadPoolExecutor(10) as pool:
            calls = [pool.submit(call) for _ in range(10)]
            answers = asyncio.run(main())
            answers += [each.result(WAIT) for each in calls]

        assert [True] * 20 == answers
        assert 1 == server.asked("GET")

    def test_on_a_running_loop_it_continues_in_the_background(
        self, make, server, caplog
    ) -> None:
        """An evaluation outside invocations gets the default now and the flag later."""
        flags = make()

        async def scenario() -> bool:
            first = flags.is_enabled("simpleFlag")
            for _ in range(4000):
                if flags.status.state is State.READY:
                    break
                await asyncio.sleep(0.005)
            return first

        assert asyncio.run(scenario()) is False
        assert flags.is_enabled("simpleFlag") is True
        assert 1 == flags.status.uncounted
        assert 1 == server.asked("GET")
        assert 1 == caplog.text.count("starts in the background")

    def test_a_loop_runs_on_while_an_invocation_waits(self, make, server) -> None:
        """The start blocks the task that needs it, but not the loop."""
        server.answers.clear()
        flags = make()

        @flags.wrap
        async def handler() -> bool:
            return flags.is_enabled("simpleFlag")

        async def scenario() -> bool:
            task = asyncio.create_task(handler())
            assert await asyncio.to_thread(server.arrived.acquire, timeout=WAIT)
            server.answers.set()
            return await task

        assert asyncio.run(scenario()) is True

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_an_invocation_waits_no_longer_than_it_may_run(
        self, make, server, cloud, kind
    ) -> None:
        """Its remaining time also limits the wait for imports."""
        server.answers.clear()
        platform = cloud()
        platform.invocations.append(Invocation(remaining_time=lambda: 0.1))
        flags = make(platform, start_timeout=WAIT)
        if kind == "sync":
            answer = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
            contextvars.copy_context().run(self._begin, flags)
        else:
            asyncio.run(self._begin_async(flags))
        during_the_start = flags.status.state
        server.answers.set()
        del platform.invocations[:]

        assert during_the_start in {State.STARTING, State.DEGRADED}
        answer = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
        assert answer() is True

    @staticmethod
    def _begin(flags) -> None:
        with flags.invocation():
            pass

    @staticmethod
    async def _begin_async(flags) -> None:
        async with flags.invocation():
            pass
