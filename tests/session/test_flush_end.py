"""Counts at the end of a session: all are sent, and lost ones are logged."""

from __future__ import annotations

import threading

import pytest

from serverless_flags import State


@pytest.fixture(name="handler_of")
def _handler_of():
    def handler_of(flags):
        return flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    return handler_of


def test_the_end_flushes_and_later_invocations_flush_themselves(
    make, server, handler_of
):
    """After the shutdown notice each ending invocation sends its own counts."""
    flags = make()
    handler = handler_of(flags)
    handler()
    flags.terminate(5)
    at_signal = server.counted(), flags.status.state
    handler()

    assert (1, State.TERMINATING) == at_signal
    assert 2 == server.counted()


def test_the_end_ignores_the_back_off(make, server, handler_of):
    """The last flush is sent even during a back-off."""
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
    """A bucket in flight is waited for, and sent again if it was not accepted."""
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


def test_termination_before_the_start_does_nothing(make, server):
    """A signal to an instance that never served sends nothing and breaks nothing."""
    flags = make()

    flags.terminate(5)

    assert State.NEW is flags.status.state
    assert [] == server.requests


def test_close_is_idempotent_and_disconnects_once(make, server, cloud, handler_of):
    """The second close does nothing; `disconnect_instance` is called once."""
    platform = cloud()
    flags = make(platform)
    handler_of(flags)()

    assert (True, True) == (flags.close(5), flags.close(5))
    assert 1 == platform.events.count(("disconnect", "close"))
    assert 1 == server.counted()
    flags.terminate(5)
    assert State.CLOSED is flags.status.state


def test_close_after_a_signal_says_so(make, cloud, handler_of):
    """An observer can distinguish a shutdown notice from a call of `close`."""
    platform = cloud()
    flags = make(platform)
    handler_of(flags)()
    flags.terminate(5)

    flags.close(5)

    assert ("disconnect", "signal") in platform.events


def test_a_closed_session_evaluates_and_counts_nothing(
    make, server, handler_of, caplog
):
    """After `close` the last flags are served; uncounted evaluations are logged."""
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


def test_lost_counts_are_logged_at_the_end(make, server, caplog):
    """Counts that the server never accepted are logged once, with their number."""
    server.status["POST"] = 503
    flags = make()
    for _ in range(3):
        flags.is_enabled("simpleFlag")

    assert flags.close(5) is False
    assert 3 == flags.status.uncounted
    assert 1 == caplog.text.count("3 evaluations were not counted, 0 were sent and not")


def test_counts_in_flight_at_the_end_are_unknown(make, server):
    """Their outcome is unknown until the answer arrives after all."""
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


def test_a_session_closed_before_its_start_serves_defaults(make, server, caplog):
    """A closed session does not start."""
    flags = make()
    flags.close()

    assert flags.is_enabled("simpleFlag") is False
    assert flags.is_enabled("simpleFlag", None, lambda name, context: True) is True
    assert "closed before it was started" in caplog.text
    assert [] == server.requests
    assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is False


def test_an_exiting_process_is_not_kept_waiting(make, server, cloud):
    """SystemExit propagates at once; the flush that it began may still arrive."""
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


def test_two_sessions_flush_in_parallel_at_the_end(make, server):
    """A process may hold several sessions: each is notified and sends its counts."""
    from serverless_flags import signals

    first, second = make(), make(app_name="other")
    first.is_enabled("simpleFlag")
    second.is_enabled("simpleFlag")

    signals.terminate()

    assert 2 == server.counted()
