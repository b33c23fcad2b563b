"""Flags evaluated without a wrapped function."""

from __future__ import annotations

import asyncio
import signal
import sys

from serverless_flags import State


def test_an_evaluation_starts_the_session(make, server):
    """A script needs no wrap: its first evaluation starts the session."""
    flags = make()

    assert flags.is_enabled("simpleFlag") is True
    assert flags.get_variant("simpleFlag")["feature_enabled"] is True
    assert 1 == server.asked("GET")


def test_a_process_that_will_fork_serves_the_default(make, server, cloud, caplog):
    """In the master of functions-framework a client would not work in the workers."""
    flags = make(cloud(will_fork=True))

    answers = [flags.is_enabled("simpleFlag"), flags.is_enabled("simpleFlag")]

    assert [False, False] == answers
    assert 1 == caplog.text.count("is going to fork")
    assert 2 == flags.status.uncounted
    assert State.NEW is flags.status.state


def test_a_process_that_has_forked_starts(make, cloud):
    """Once an invocation runs there, the process is the worker."""
    flags = make(cloud(will_fork=True))

    assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is True


def test_a_flush_outside_reinstalls_the_handler(make, clock):
    """Without invocations there is no other time at which to check it."""
    before = signal.getsignal(signal.SIGTERM)
    flags = make(platform="local", plugins=[], flush_interval=None)
    flags.is_enabled("simpleFlag")
    signal.signal(signal.SIGTERM, lambda *_: None)
    flags.is_enabled("simpleFlag")
    between = flags.status.termination
    clock.advance(60)
    flags.is_enabled("simpleFlag")

    assert between.startswith("not connected: SIGTERM was taken")
    assert "connected" == flags.status.termination
    signal.signal(signal.SIGTERM, before)


def test_a_running_loop_is_not_blocked(make, server, caplog):
    """A start would block the loop for 200 ms, so the default is served and logged."""
    flags = make()
    server.answers.clear()  # a wait for the start would get no flags

    async def scenario() -> bool:
        return flags.is_enabled("simpleFlag")

    assert asyncio.run(scenario()) is False
    assert "would block the running event loop" in caplog.text
    assert State.STARTING is flags.status.state
    server.answers.set()
    flags.start()
    assert flags.is_enabled("simpleFlag") is True


def test_a_process_without_asyncio_has_no_running_loop(make, monkeypatch):
    """Whether a loop runs is determined without importing asyncio."""
    monkeypatch.delitem(sys.modules, "asyncio")

    assert make().is_enabled("simpleFlag") is True


def test_status_of_a_new_session(make):
    """`status` can be read before anything has happened."""
    status = make().status

    assert (State.NEW, "cloud", "none", None, None) == (
        status.state,
        status.platform,
        status.source,
        status.age,
        status.flags,
    )
    assert "not connected yet: nothing was wrapped or invoked" == status.termination
