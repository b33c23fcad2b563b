"""A session in a forked process starts afresh."""

from __future__ import annotations

import contextlib
import os
import warnings

import pytest

from serverless_flags import FlagSession, State


def test_a_forked_child_starts_afresh_with_empty_counts(make, server):
    """State belongs to a process: a child makes its own requests and counts."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    with warnings.catch_warnings():
        # a fork of a process with threads
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        fresh = flags.status.state is State.NEW
        answer = handler()
        closed = flags.close(5)
        os._exit(0 if fresh and answer and closed else 1)
    _, status = os.waitpid(pid, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    assert 1 == server.counted()
    assert flags.flush()
    assert 2 == server.counted()
    assert 2 == server.asked("GET")


@pytest.mark.parametrize("inside", [True, False], ids=["invocation", "bare"])
def test_a_child_forked_by_an_invocation_starts_afresh(make, server, cloud, inside):
    """It joins no invocation of its parent, even where the platform itself forks."""
    flags = make(cloud(will_fork=True))

    def ask() -> bool:
        with flags.invocation() if inside else contextlib.nullcontext():
            return flags.is_enabled("simpleFlag")

    @flags.wrap
    def handler() -> int:
        ask()
        with warnings.catch_warnings():
            # a fork of a process with threads
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            answered = ask()
            os._exit(0 if answered and flags.close(5) else 1)
        return os.waitpid(pid, 0)[1]

    assert 0 == os.waitstatus_to_exitcode(handler())
    assert 1 == server.counted()
    assert flags.flush()
    assert 2 == server.counted()


def test_a_fork_outside_python_is_detected(make, server, monkeypatch):
    """A new process id returns the session to NEW at the next invocation."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    monkeypatch.setattr(os, "getpid", lambda: 1)

    assert handler() is True
    assert 2 == server.asked("GET")


def test_the_fork_hook_renews_every_session(make):
    """After a fork every session in the child is new and inherits nothing."""
    from serverless_flags import _fork as fork_module

    flags = make()
    flags.start()

    fork_module.renew_all()

    assert State.NEW is flags.status.state


def test_a_new_session_survives_a_fork(cloud):
    """A session that has not started has nothing to close."""
    flags = FlagSession(client="memory", plugins=[cloud()])

    flags.renew()

    assert State.NEW is flags.status.state
