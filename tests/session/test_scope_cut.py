"""An invocation that an exception interrupts at its beginning or end leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from serverless_flags import Invocation, hookimpl

WAIT = 20.0
"""Seconds; a bound against hanging only."""

OLD = 61.0
"""Seconds after which an invocation waits for a refresh."""


class OvertimeError(Exception):
    """An exception that a framework raises in a request that takes too long."""


class Abort(BaseException):
    """A `BaseException` that stops a worker."""


waiting_errors = pytest.mark.parametrize(
    "error", [OvertimeError, Abort, KeyboardInterrupt]
)
hook_errors = pytest.mark.parametrize("error", [Abort, KeyboardInterrupt, SystemExit])


@pytest.fixture(name="begin", params=["sync", "async"])
def _begin(request):
    """Return a function that runs a callback inside a sync or an async invocation."""

    def begin(flags, ask, user):
        if request.param == "sync":
            with flags.invocation(user):
                return ask()

        async def main():
            async with flags.invocation(user):
                return ask()

        return asyncio.run(main())

    return begin


@pytest.fixture(name="users")
def _users(make, server):
    """Return a function that makes a session whose context is the argument."""
    server.flags = {"alice": ["alice"], "bob": ["bob"]}

    def users(platform=None, **settings):
        return make(
            platform,
            context=lambda invocation: {"userId": invocation.args[0]},
            **settings,
        )

    return users


def _is_untouched(flags) -> bool:
    """Whether no invocation is current, and a new one joins no other."""
    outside = flags.is_enabled("alice"), flags.is_enabled("bob")
    with flags.invocation("bob") as bob:
        inside = flags.is_enabled("alice"), flags.is_enabled("bob")
        joined = bob._joined is not None
    return outside == (False, False) and inside == (False, True) and not joined


class TestCutByAPlugin:
    """A plugin may raise a `BaseException`: an interruption, an exit."""

    @hook_errors
    @pytest.mark.parametrize(
        "hook", ["read_invocation", "begin_invocation", "end_invocation"]
    )
    def test_the_exception_propagates_and_nothing_stays(
        self, users, cloud, begin, error, hook
    ) -> None:
        """The next invocation on that thread starts afresh, refreshes and flushes."""
        faults = []

        class Cut(cloud):
            def _cut(self, where: str) -> None:
                if where == hook and faults:
                    raise faults.pop()

            @hookimpl
            def read_invocation(self) -> Invocation:
                self._cut("read_invocation")
                return Invocation()

            @hookimpl
            def begin_invocation(self) -> None:
                self._cut("begin_invocation")

            @hookimpl
            def end_invocation(self) -> None:
                self._cut("end_invocation")

        flags = users(Cut())
        flags.start()
        faults.append(error)
        with pytest.raises(error):
            begin(flags, lambda: None, "alice")

        assert _is_untouched(flags)

    @hook_errors
    def test_each_plugin_that_began_an_invocation_ends_it(
        self, users, cloud, begin, error
    ) -> None:
        """`end_invocation` is called wherever `begin_invocation` was."""
        events = []

        class Pairs(cloud):
            @hookimpl
            def begin_invocation(self) -> None:
                events.append("begin")
                if len(events) == 1:
                    raise error

            @hookimpl
            def end_invocation(self) -> None:
                events.append("end")

        flags = users(Pairs())
        with pytest.raises(error):
            begin(flags, lambda: None, "alice")
        begin(flags, lambda: None, "bob")

        assert ["begin", "end", "begin", "end"] == events

    @pytest.mark.parametrize("where", ["context", "remaining_time"])
    def test_an_interruption_of_a_callable_of_the_invocation(
        self, make, cloud, clock, begin, raising, where
    ) -> None:
        """Its lazy context, and its remaining time."""
        platform = cloud()
        flags = make(platform)
        flags.start()
        clock.advance(OLD)
        fields = {where: raising(KeyboardInterrupt)}
        platform.invocations.append(Invocation(**fields))
        with pytest.raises(KeyboardInterrupt):
            begin(flags, lambda: flags.is_enabled("simpleFlag"), "alice")

        assert flags._core.scope.get() is None

    def test_an_exception_of_the_function_propagates(
        self, users, begin, raising
    ) -> None:
        """A `BaseException` too, for which the due flush does not wait."""
        flags = users(flush_interval=0)
        with pytest.raises(Abort):
            begin(flags, raising(Abort), "alice")

        assert _is_untouched(flags)


class TestCutWhileItWaits:
    """An exception raised on the user's thread while the session waits."""

    @waiting_errors
    def test_for_a_refresh(
        self, users, server, clock, interrupt, raising, until, error
    ) -> None:
        """The refresh continues; the next invocation gets its flags."""
        flags = users()
        with flags.invocation("alice"):
            assert flags.is_enabled("alice")
        server.arrived.acquire()
        server.answers.clear()
        server.flags["new"] = True
        clock.advance(OLD)
        interrupt(raising(error), server.arrived.acquire)
        with pytest.raises(error), flags.invocation("alice"):
            pytest.fail("the function ran")
        server.answers.set()

        assert until(lambda: flags.is_enabled("new"))
        assert _is_untouched(flags)

    @waiting_errors
    def test_for_a_flush(self, users, server, interrupt, raising, error) -> None:
        """The counts are sent on a background thread, which is not interrupted."""
        flags = users(flush_interval=0)
        flags.start()
        server.arrived.acquire()
        server.answers.clear()
        interrupt(raising(error), server.arrived.acquire)
        with pytest.raises(error), flags.invocation("alice"):
            flags.is_enabled("alice")
        server.answers.set()
        assert flags.flush(WAIT)

        assert 1 == server.counted("alice")
        assert flags._core.scope.get() is None

    @pytest.mark.parametrize("at", ["start", "refresh", "flush"])
    def test_by_a_cancellation(self, users, server, clock, at) -> None:
        """A cancelled task leaves no invocation in its context, and loses no count."""
        flags = users(flush_interval=0)
        if at != "start":
            flags.start()
            server.arrived.acquire()
        if at == "refresh":
            clock.advance(OLD)
        server.answers.clear()

        async def invocation(began: asyncio.Event) -> object:
            began.set()
            try:
                async with flags.invocation("alice"):
                    flags.is_enabled("alice")
            finally:
                left.append(flags._core.scope.get())

        async def main() -> None:
            began = asyncio.Event()
            task = asyncio.create_task(invocation(began))
            await began.wait()
            await asyncio.to_thread(server.arrived.acquire)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            server.answers.set()

        left = []
        asyncio.run(main())

        assert [None] == left
        assert flags.flush(WAIT)
        assert (1 if at == "flush" else 0) == server.counted("alice")
        assert _is_untouched(flags)

    def test_by_a_timeout_of_the_task(self, users, server) -> None:
        """A timeout around an invocation ends it, whatever it waits for."""
        flags = users()
        server.answers.clear()

        async def invocation() -> None:
            async with flags.invocation("alice"):
                pytest.fail("the function ran")

        async def main() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(invocation(), 0.05)
            server.answers.set()
            async with flags.invocation("bob"):
                assert flags.is_enabled("bob")
                assert not flags.is_enabled("alice")

        asyncio.run(main())

        assert _is_untouched(flags)
