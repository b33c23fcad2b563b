"""A platform that continues after the response waits instead of the invocation."""

from __future__ import annotations

import asyncio

import pytest

from serverless_flags import hookimpl

WAIT = 10.0
"""Seconds; a bound against hanging only."""


@pytest.fixture(name="platform")
def _platform(cloud):
    """Return a platform that accepts each wait and keeps it."""

    class Lingering(cloud):
        def __init__(self, **facts):
            super().__init__(**facts)
            self.waits = []

        @hookimpl
        def wait_after_response(self, wait):
            self.waits.append(wait)
            return True

    return Lingering()


@pytest.fixture(name="invoke", params=["sync", "async"])
def _invoke(request):
    """Return a function that evaluates the flag in a sync or an async invocation."""

    def invoke(flags):
        if request.param == "sync":
            return flags.wrap(lambda: flags.is_enabled("simpleFlag"))()

        async def handler():
            return flags.is_enabled("simpleFlag")

        return asyncio.run(flags.wrap(handler)())

    return invoke


def test_the_response_does_not_wait_for_a_flush(make, server, platform, invoke):
    """The function returns while the counts are being sent."""
    flags = make(platform, flush_interval=0)
    flags.start()
    server.answers.clear()
    answer = invoke(flags)
    (wait,) = platform.waits
    unanswered = wait(0.0)
    server.answers.set()

    assert answer is True
    assert unanswered is False
    assert wait(WAIT) is True
    assert 1 == server.counted()


def test_the_response_does_not_wait_for_a_refresh(
    make, server, clock, platform, invoke
):
    """Stale flags are refreshed in the background, until after the response."""
    flags = make(platform)
    flags.start()
    server.answers.clear()
    clock.advance(30)
    answer = invoke(flags)
    (wait,) = platform.waits
    server.answers.set()

    assert answer is True
    assert wait(WAIT) is True
    assert 0 == flags.status.age


def test_a_refresh_that_timed_out_goes_on(make, server, clock, platform):
    """An answer that is too late for this invocation is used by the next one."""
    flags = make(platform, refresh_timeout=0.05)
    flags.start()
    server.answers.clear()
    clock.advance(61)
    flags.wrap(lambda: None)()
    (wait,) = platform.waits
    server.answers.set()

    assert wait(WAIT) is True
    assert 0 == flags.status.age


def test_refresh_and_flush_are_one_wait(make, server, clock, platform, invoke):
    """A refresh and a flush under way are passed to the platform together."""
    flags = make(platform, flush_interval=0)
    flags.start()
    server.answers.clear()
    clock.advance(30)
    invoke(flags)
    (wait,) = platform.waits
    server.answers.set()

    assert wait(WAIT) is True
    assert (0, 1) == (flags.status.age, server.counted())


def test_the_hook_is_not_called_with_nothing_under_way(make, platform, invoke):
    """Most invocations have nothing to wait for, and do not call the hook."""
    flags = make(platform)
    flags.start()

    assert invoke(flags) is True
    assert [] == platform.waits


def test_the_hook_is_not_called_when_the_process_exits(make, server, platform):
    """An exiting process waits for nothing that it has begun."""
    flags = make(platform, flush_interval=0)
    flags.start()
    server.answers.clear()

    def leave():
        flags.is_enabled("simpleFlag")
        raise SystemExit

    with pytest.raises(SystemExit):
        flags.wrap(leave)()
    server.answers.set()

    assert [] == platform.waits
    assert flags.flush(WAIT)
