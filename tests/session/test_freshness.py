"""The age of the flags that an invocation sees, and what an invocation waits for."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from serverless_flags import Invocation, State


def test_fresh_flags_are_served_without_asking(make, server, clock):
    """Within `max_age` an invocation makes no request."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    clock.advance(13)

    assert handler() is True
    assert 1 == server.asked("GET")


def test_stale_flags_are_served_during_a_refresh(make, server, clock):
    """Past `max_age` the invocation gets the old flags and the next one the new."""
    flags = make()

    @flags.wrap
    def handler() -> bool:
        answer = flags.is_enabled("simpleFlag")
        server.answers.set()
        return answer

    handler()
    server.flags["simpleFlag"] = False
    server.answers.clear()
    clock.advance(16)

    assert handler() is True
    assert handler() is False
    assert 2 == server.asked("GET")


@pytest.mark.parametrize("goes_on", [True, False])
def test_only_where_a_freeze_may_follow_the_end_waits_for_a_refresh(
    make, server, clock, cloud, goes_on
):
    """On other platforms the invocation ends before the refresh does."""
    flags = make(cloud(runs_between_invocations=goes_on))
    flags.start()
    server.answers.clear()
    clock.advance(16)
    with flags.invocation() as invocation:
        plan, duties = invocation._plan, flags._core.process.due_work
        wait = duties.finish(plan, lambda: None, evaluated=False, terminating=False)
        server.answers.set()

    assert plan.background is not None
    assert goes_on is (wait is None)
    assert plan.background.wait(10)


def test_old_flags_are_refreshed_before_the_function(make, server, clock):
    """Past `stale_while_revalidate` the function gets the server's current flags."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    server.flags["simpleFlag"] = False
    clock.advance(61)

    assert handler() is False


def test_a_wall_clock_that_ran_on_ages_the_flags(make, server, clock, monkeypatch):
    """Flags age during a freeze that stopped the monotonic clock."""
    from serverless_flags._clock import Instant

    drift = [0.0]
    flags = make(clock=lambda: Instant(1000.0, 2000.0 + drift[0]))
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    server.flags["simpleFlag"] = False
    drift[0] = 3600.0

    assert handler() is False


def test_an_unchanged_body_is_asked_for_by_its_etag(make, server, clock, cloud):
    """Unchanged flags are a 304, which makes them fresh again."""
    platform = cloud()
    flags = make(platform)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    clock.advance(61)

    assert handler() is True
    assert ("refresh", "unchanged") in platform.events
    assert 0 == flags.status.age


def test_ages_of_zero_ask_before_every_invocation(make, server):
    """With both ages 0 the next invocation sees every change."""
    flags = make(max_age=0, stale_while_revalidate=0, clock=None)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    answers = []
    for on in (True, False, True, False):
        server.flags["simpleFlag"] = on
        answers.append(handler())

    assert [True, False, True, False] == answers


def test_a_slow_server_delays_by_refresh_timeout_and_stale_flags_are_served(
    make, server, clock
):
    """The function gets stale flags instead of waiting; the next gets the answer."""
    flags = make(refresh_timeout=0.05)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    server.flags["simpleFlag"] = False
    server.answers.clear()
    clock.advance(61)
    during = handler()
    server.answers.set()
    flags.refresh(10)

    assert during is True
    assert handler() is False


def test_a_failing_server_is_not_asked_for_a_while(make, server, clock):
    """During the back-off invocations make no request and get the last flags."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    server.status["GET"] = 503
    server.headers["Retry-After"] = "30"
    clock.advance(61)
    answers = [handler() for _ in range(5)]
    asked = server.asked("GET")
    clock.advance(31)
    server.status["GET"] = 200
    handler()

    assert [True] * 5 == answers
    assert 2 == asked
    assert 3 == server.asked("GET")


def test_a_refresh_never_waits_past_the_remaining_time(make, server, clock, cloud):
    """With no time left the function runs at once with the known flags."""
    platform = cloud()
    flags = make(platform)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    server.answers.clear()
    clock.advance(61)
    platform.invocations.append(Invocation(remaining_time=lambda: 0.01))

    assert handler() is True
    server.answers.set()


def test_a_refresh_from_before_a_freeze_blocks_nothing(make, server, clock):
    """A request that hung during a freeze is replaced, and its answer is ignored."""
    flags = make(refresh_timeout=0.05)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    while server.arrived.acquire(blocking=False):
        pass
    server.answers.clear()
    clock.advance(61)
    handler()
    server.arrived.acquire(timeout=10)
    clock.advance(3600)
    server.flags["simpleFlag"] = False
    handler()

    # a second request, in parallel with the first
    assert server.arrived.acquire(timeout=10)
    server.answers.set()
    assert flags.refresh(10)
    assert handler() is False


def test_stale_if_error_ends_in_defaults(make, server, clock, caplog):
    """Flags older than `stale_if_error` are not served; after a recovery they are."""
    caplog.set_level(logging.INFO)
    flags = make(stale_if_error=100)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    server.status["GET"] = 500
    clock.advance(90)
    within = handler()
    clock.advance(400)
    past = handler()
    state = flags.status.state
    server.status["GET"] = 200
    clock.advance(400)

    assert (True, False) == (within, past)
    assert State.DEGRADED is state
    assert "older than stale_if_error" in caplog.text
    assert handler() is True
    assert "flags are served again" in caplog.text


def test_stale_if_error_holds_during_a_back_off(make, server, clock):
    """Flags that become too old during a back-off are not served either."""
    flags = make(stale_if_error=100)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    server.status["GET"] = 503
    server.headers["Retry-After"] = "250"
    clock.advance(90)
    handler()
    clock.advance(100)

    assert handler() is False
    assert 2 == server.asked("GET")


def test_an_invocation_that_finds_a_refresh_running_begins_none(make, server, clock):
    """Only the invocation that began a refresh waits for it."""
    flags = make()
    inner = []
    outer = flags.wrap(lambda: inner.append(another_refresh_runs()))

    def another_refresh_runs() -> bool:
        thread = threading.Thread(target=flags.wrap(lambda: None))
        thread.start()
        thread.join(10)
        server.answers.set()
        return not thread.is_alive()

    flags.start()
    server.answers.clear()
    clock.advance(16)
    outer()

    assert [True] == inner
    assert 2 == server.asked("GET")


def test_async_invocations_refresh_without_blocking_the_loop(make, server, clock):
    """Other tasks run while an async invocation waits for its refresh."""
    flags = make()

    @flags.wrap
    async def handler() -> bool:
        return flags.is_enabled("simpleFlag")

    async def scenario() -> tuple[bool, bool]:
        first = await handler()
        server.flags["simpleFlag"] = False
        server.answers.clear()
        clock.advance(61)
        waiting = asyncio.ensure_future(handler())
        await asyncio.sleep(0)  # the loop is free: this line is reached
        server.answers.set()
        return first, await waiting

    assert (True, False) == asyncio.run(scenario())


def test_fifty_async_first_invocations_start_once(make, server):
    """Concurrent first invocations on one loop share one start."""
    flags = make()

    @flags.wrap
    async def handler() -> bool:
        return flags.is_enabled("simpleFlag")

    async def scenario() -> list[bool]:
        return await asyncio.gather(*[handler() for _ in range(50)])

    assert [True] * 50 == asyncio.run(scenario())
    assert 1 == server.asked("GET")
