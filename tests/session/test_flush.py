"""Counts: sent in time, kept when refused, never twice, and all at the end."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from serverless_flags import Invocation, State


@pytest.fixture(name="handler_of")
def _handler_of():
    def handler_of(flags):
        return flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    return handler_of


def test_counts_are_sent_every_flush_interval(make, server, clock, handler_of):
    """Nothing is sent within the interval; then it goes beside the next function."""
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
    """Where no end is heard, counts do not wait for it, and the status says why."""
    flags = make(cloud(connects=False))
    handler = handler_of(flags)
    counted = []
    for _ in range(3):
        handler()
        counted.append(server.counted())

    assert [1, 2, 3] == counted
    assert 0 == flags.status.flush_interval
    assert (
        "not connected: the platform gives no signal here" == flags.status.termination
    )


def test_a_platform_may_say_why_its_end_is_not_heard(make, cloud, handler_of):
    """The status repeats the adapter's own reason."""
    flags = make(cloud(connects="the worker imports off the main thread"))
    handler_of(flags)()

    expected = "not connected: the worker imports off the main thread"
    assert expected == flags.status.termination
    assert 0 == flags.status.flush_interval


def test_an_explicit_interval_wins(make, server, cloud, handler_of):
    """A user who sets flush_interval has it, signal or not."""
    flags = make(cloud(connects=False), flush_interval=30)
    handler_of(flags)()

    assert 0 == server.counted()
    assert 30 == flags.status.flush_interval


def test_async_invocations_flush_at_their_end(make, server, cloud):
    """The same holds on an event loop."""
    flags = make(cloud(connects=False))

    @flags.wrap
    async def handler() -> bool:
        return flags.is_enabled("simpleFlag")

    asyncio.run(handler())

    assert 1 == server.counted()


def test_an_invocation_without_evaluations_sends_nothing(make, server, cloud):
    """An empty flush is no request."""
    flags = make(cloud(connects=False))

    flags.wrap(lambda: None)()

    assert 0 == server.asked("POST")


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 503])
def test_refused_counts_are_kept_and_sent_with_the_next(make, server, status):
    """What the server says it did not take goes again, with what came since."""
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
    """A kept bucket does not need company."""
    server.status["POST"] = 503
    flags = make()
    flags.is_enabled("simpleFlag")
    flags.flush()
    server.status["POST"] = 202

    assert flags.flush()
    assert 1 == server.counted()


@pytest.mark.parametrize("status", [502, 504])
def test_counts_of_unknown_fate_are_never_sent_again(make, server, status):
    """A gateway's answer may hide a taken bucket: it is counted as unknown."""
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
    """A bucket that would never be taken is not carried for ever."""
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


def test_a_failing_server_is_left_alone_between_flushes(
    make, server, clock, cloud, handler_of, caplog
):
    """With a flush at every end a dead server delays one invocation, not all."""
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
    """The interval alone does not send to a server that asked to be left alone."""
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


def test_the_end_flushes_and_later_invocations_flush_themselves(
    make, server, handler_of
):
    """After the platform's signal each ending invocation sends its own counts."""
    flags = make()
    handler = handler_of(flags)
    handler()
    flags.terminate(5)
    at_signal = server.counted(), flags.status.state
    handler()

    assert (1, State.TERMINATING) == at_signal
    assert 2 == server.counted()


def test_the_end_ignores_the_back_off(make, server, handler_of):
    """The last chance is taken, whatever the server said before."""
    server.status["POST"] = 503
    server.headers["Retry-After"] = "100"
    flags = make()
    handler = handler_of(flags)
    handler()
    flags.flush()
    server.status["POST"] = 202
    flags.terminate(5)

    assert 1 == server.counted()


def test_the_end_takes_what_a_flush_in_flight_could_not_deliver(make, server):
    """A bucket on its way at the signal is waited for and sent again if refused."""
    flags = make()
    flags.is_enabled("simpleFlag")
    server.status["POST"] = 503
    server.answers.clear()
    while server.arrived.acquire(blocking=False):
        pass
    flags.flush(0)
    server.arrived.acquire(timeout=10)
    ending = threading.Thread(target=flags.terminate, args=(10,))
    ending.start()
    server.status["POST"] = 503
    server.answers.set()
    ending.join(10)
    server.status["POST"] = 202

    assert flags.close(5)
    assert 1 == server.counted()


def test_termination_before_the_start_is_nothing(make, server):
    """A signal to an instance that never served sends nothing and breaks nothing."""
    flags = make()

    flags.terminate(5)

    assert State.NEW is flags.status.state
    assert [] == server.requests


def test_close_is_idempotent_and_tells_the_adapter_once(
    make, server, cloud, handler_of
):
    """The second close does nothing; the platform is disconnected once."""
    platform = cloud()
    flags = make(platform)
    handler_of(flags)()

    assert (True, True) == (flags.close(5), flags.close(5))
    assert 1 == platform.events.count(("disconnect", "close"))
    assert 1 == server.counted()
    flags.terminate(5)
    assert State.CLOSED is flags.status.state


def test_close_after_a_signal_says_so(make, cloud, handler_of):
    """An observer can tell an announced end from a user's close."""
    platform = cloud()
    flags = make(platform)
    handler_of(flags)()
    flags.terminate(5)

    flags.close(5)

    assert ("disconnect", "signal") in platform.events


def test_a_closed_session_answers_and_counts_nothing(make, server, handler_of, caplog):
    """After close flags keep their last state; what is lost is said and counted."""
    flags = make()
    handler = handler_of(flags)
    handler()
    flags.close(5)

    assert [True, True] == [
        handler(),
        flags.get_variant("simpleFlag")["feature_enabled"],
    ]
    assert 1 == server.counted()
    assert 2 == flags.status.uncounted
    assert 1 == caplog.text.count("the session is closed")


def test_an_end_that_loses_counts_says_how_many(make, server, caplog):
    """What the server refused to the end is booked and told once, with the number."""
    server.status["POST"] = 503
    flags = make()
    for _ in range(3):
        flags.is_enabled("simpleFlag")

    assert flags.close(5) is False
    assert 3 == flags.status.uncounted
    assert 1 == caplog.text.count("3 evaluations were not counted, 0 were sent and not")


def test_an_end_that_cannot_wait_books_what_is_on_its_way(make, server):
    """Its fate is unknown, until the answer comes after all."""
    flags = make()
    flags.is_enabled("simpleFlag")
    while server.arrived.acquire(blocking=False):
        pass
    server.answers.clear()
    flags.flush(0)
    server.arrived.acquire(timeout=10)
    closed = flags.close(0)
    unknown = flags.status.unknown_counts
    server.answers.set()
    flags._core.process.server_sync.flusher.finish(10)

    assert (False, 1) == (closed, unknown)
    assert 1 == server.counted()
    assert 0 == flags.status.unknown_counts + flags.status.uncounted


def test_a_session_closed_before_its_start_answers_defaults(make, server, caplog):
    """Nothing starts after the end."""
    flags = make()
    flags.close()

    assert flags.is_enabled("simpleFlag") is False
    assert flags.is_enabled("simpleFlag", None, lambda name, context: True) is True
    assert "closed before it was started" in caplog.text
    assert [] == server.requests
    assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is False


def test_a_flush_waits_no_longer_than_told(make, server):
    """flush(0) begins to send; the request lives on and is counted."""
    server.answers.clear()
    flags = make(start_timeout=0.01)
    flags.is_enabled("simpleFlag")

    assert flags.flush(0) is False
    server.answers.set()
    assert flags.flush(10)
    assert 1 == server.counted()


def test_a_flush_before_the_start_has_nothing_to_send(make):
    """True means: nothing is left to send."""
    assert make().flush()


def test_an_exiting_process_is_not_kept_waiting(make, server, cloud):
    """SystemExit passes at once; the flush it began may still arrive."""
    flags = make(cloud(connects=False))
    while server.arrived.acquire(blocking=False):
        pass

    @flags.wrap
    def handler() -> None:
        flags.is_enabled("simpleFlag")
        server.answers.clear()
        raise SystemExit

    with pytest.raises(SystemExit):
        handler()
    server.answers.set()
    assert flags.flush(10)
    assert 1 == server.counted()


def test_a_flush_never_waits_past_the_remaining_time(make, server, cloud):
    """A function about to be timed out by the platform is not made later by us."""
    platform = cloud(connects=False)
    platform.invocations.append(Invocation(remaining_time=lambda: 0.01))
    flags = make(platform)
    flags.start()
    server.answers.clear()

    flags.wrap(lambda: flags.is_enabled("simpleFlag"))()
    server.answers.set()

    assert flags.flush(10)
    assert 1 == server.counted()


def test_a_fault_in_the_remaining_time_means_no_limit(make, server, cloud, caplog):
    """A platform that cannot say how long is left sets no limit."""

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
    """It costs every invocation a clock, so an invocation with nothing due has none."""
    asked = []
    platform = cloud()
    platform.invocations.append(Invocation(remaining_time=lambda: asked.append(1)))
    flags = make(platform)
    flags.start()

    flags.wrap(lambda: flags.is_enabled("simpleFlag"))()

    assert [] == asked


def test_observers_hear_of_flushes(make, cloud):
    """after_flush is called once per request with counts."""
    platform = cloud()
    flags = make(platform)
    flags.is_enabled("simpleFlag")
    flags.flush()

    assert ("flush", "taken") in platform.events


def test_two_sessions_flush_side_by_side_at_the_end(make, server):
    """One process may hold several sessions: all are told, all deliver."""
    from serverless_flags import signals

    first, second = make(), make(app_name="other")
    first.is_enabled("simpleFlag")
    second.is_enabled("simpleFlag")

    signals.terminate()

    assert 2 == server.counted()
