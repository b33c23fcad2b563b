"""Counts are sent in time, kept when not accepted, never sent twice, all at the end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from serverless_flags import Invocation


@pytest.fixture(name="handler_of")
def _handler_of():
    def handler_of(flags):
        return flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    return handler_of


def test_counts_are_sent_every_flush_interval(make, server, clock, handler_of):
    """Nothing is sent within the interval; then it is sent while the function runs."""
    flags = make(max_age=3600)
    handler = handler_of(flags)
    for _ in range(3):
        handler()
    before = server.counted()
    clock.advance(60)
    handler()

    assert 0 == before
    assert 1 == server.asked("POST")
    assert flags.flush()
    assert 4 == server.counted()


def test_without_a_signal_every_invocation_ends_with_a_flush(
    make, server, cloud, handler_of
):
    """Without a shutdown signal no counts wait for one, and the status says why."""
    flags = make(cloud(connects=False))
    handler = handler_of(flags)
    counted = []
    for _ in range(3):
        handler()
        counted.append(server.counted())

    assert [1, 2, 3] == counted
    assert 0 == flags.status.flush_interval
    assert (
        "not connected: the platform sends no shutdown signal here"
        == flags.status.termination
    )


def test_a_platform_may_say_why_it_sends_no_signal(make, cloud, handler_of):
    """The status repeats the adapter's own reason."""
    flags = make(cloud(connects="the worker imports off the main thread"))
    handler_of(flags)()

    expected = "not connected: the worker imports off the main thread"
    assert expected == flags.status.termination
    assert 0 == flags.status.flush_interval


def test_an_explicit_interval_wins(make, server, cloud, handler_of):
    """The setting ``flush_interval`` applies with a signal and without."""
    flags = make(cloud(connects=False), flush_interval=30)
    handler_of(flags)()

    assert 0 == server.counted()
    assert 30 == flags.status.flush_interval


def test_async_invocations_flush_at_their_end(make, server, cloud):
    """Without a signal, async invocations end with a flush too."""
    flags = make(cloud(connects=False))

    @flags.wrap
    async def handler() -> bool:
        return flags.is_enabled("simpleFlag")

    asyncio.run(handler())

    assert 1 == server.counted()


def test_an_invocation_without_evaluations_sends_nothing(make, server, cloud):
    """Without counts no request is made."""
    flags = make(cloud(connects=False))

    flags.wrap(lambda: None)()

    assert 0 == server.asked("POST")


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 503])
def test_counts_not_accepted_are_kept_and_sent_with_the_next(make, server, status):
    """What the server did not accept is sent again, with the counts since then."""
    server.status["POST"] = status
    flags = make()
    flags.is_enabled("simpleFlag")
    first = flags.flush()
    flags.is_enabled("simpleFlag")
    server.status["POST"] = 202
    second = flags.flush()

    assert (False, True) == (first, second)
    assert 2 == server.counted()
    assert 0 == flags.status.uncounted + flags.status.unknown_counts


def test_kept_counts_are_sent_even_if_nothing_new_was_counted(make, server):
    """A kept bucket is sent even without new counts."""
    server.status["POST"] = 503
    flags = make()
    flags.is_enabled("simpleFlag")
    flags.flush()
    server.status["POST"] = 202

    assert flags.flush()
    assert 1 == server.counted()


@pytest.mark.parametrize("status", [502, 504])
def test_counts_of_unknown_fate_are_never_sent_again(make, server, status):
    """A gateway's error may hide an accepted bucket, so it is counted as unknown."""
    server.status["POST"] = status
    flags = make()
    flags.is_enabled("simpleFlag")
    flags.flush()
    server.status["POST"] = 202

    assert flags.flush()
    assert 0 == server.counted()
    assert 1 == flags.status.unknown_counts


@pytest.mark.parametrize("status", [400, 413, 422])
def test_counts_refused_for_good_are_dropped_with_a_warning(
    make, server, caplog, status
):
    """A bucket that the server would never accept is not kept."""
    server.status["POST"] = status
    flags = make()
    flags.is_enabled("simpleFlag")
    flags.flush()
    server.status["POST"] = 202

    assert flags.flush()
    assert 0 == server.counted()
    assert 1 == flags.status.uncounted
    assert (
        f"counts were not accepted (refused): the server answered {status}"
        in caplog.text
    )


def test_a_failing_server_is_not_asked_between_flushes(
    make, server, clock, cloud, handler_of, caplog
):
    """With a flush at every end, a server that fails delays one invocation, not all."""
    caplog.set_level(logging.INFO)
    server.status["POST"] = 503
    server.headers["Retry-After"] = "100"
    flags = make(cloud(connects=False), max_age=10_000)
    handler = handler_of(flags)
    for _ in range(5):
        handler()
    asked = server.asked("POST")
    server.status["POST"] = 202
    clock.advance(101)
    handler()

    assert 1 == asked
    assert 6 == server.counted()
    assert "counts are accepted again" in caplog.text


def test_a_due_flush_waits_for_the_back_off_too(make, server, clock, handler_of):
    """When the interval is over, the server's back-off still applies."""
    server.status["POST"] = 503
    server.headers["Retry-After"] = "200"
    flags = make(max_age=10_000)
    handler = handler_of(flags)
    handler()
    clock.advance(60)
    handler()
    clock.advance(60)
    handler()

    assert 1 == server.asked("POST")


def test_a_flush_waits_no_longer_than_its_timeout(make, server):
    """flush(0) only begins to send; the request completes and is counted."""
    server.answers.clear()
    flags = make(start_timeout=0.01)
    flags.is_enabled("simpleFlag")

    assert flags.flush(0) is False
    server.answers.set()
    assert flags.flush(10)
    assert 1 == server.counted()


def test_a_flush_before_the_start_has_nothing_to_send(make):
    """True means that nothing is left to send."""
    assert make().flush()


def test_a_flush_never_waits_past_the_remaining_time(make, server, cloud):
    """The session never makes a function exceed its time limit by waiting."""
    platform = cloud(connects=False)
    platform.invocations.append(Invocation(remaining_time=lambda: 0.01))
    flags = make(platform)
    flags.start()
    server.answers.clear()

    flags.wrap(lambda: flags.is_enabled("simpleFlag"))()
    server.answers.set()

    assert flags.flush(10)
    assert 1 == server.counted()


def test_a_failing_remaining_time_sets_no_limit(make, server, cloud, caplog):
    """A platform that cannot say how much time is left sets no limit."""

    def broken() -> float:
        raise RuntimeError

    platform = cloud(connects=False)
    platform.invocations.append(Invocation(remaining_time=broken))
    flags = make(platform)
    flags.start()

    flags.wrap(lambda: flags.is_enabled("simpleFlag"))()

    assert 1 == server.counted()
    assert 1 == caplog.text.count("the remaining time of an invocation is not known")


def test_the_remaining_time_is_asked_only_where_something_waits(make, cloud):
    """Reading it costs a clock call, which an invocation with nothing due saves."""
    asked = []
    platform = cloud()
    platform.invocations.append(Invocation(remaining_time=lambda: asked.append(1)))
    flags = make(platform)
    flags.start()

    flags.wrap(lambda: flags.is_enabled("simpleFlag"))()

    assert [] == asked


def test_observers_are_called_after_flushes(make, cloud):
    """`after_flush` is called once per request with counts."""
    platform = cloud()
    flags = make(platform)
    flags.is_enabled("simpleFlag")
    flags.flush()

    assert ("flush", "taken") in platform.events


@pytest.mark.parametrize(("connects", "sent"), [(True, "60000"), (False, "0")])
def test_the_server_gets_the_interval_in_effect(make, server, cloud, connects, sent):
    """It is 0 where each invocation flushes because no shutdown signal will come."""
    flags = make(cloud(connects=connects))
    with flags.invocation():
        flags.is_enabled("simpleFlag")
    flags.flush(10)

    assert sent == server.intervals[-1]
