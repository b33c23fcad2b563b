"""A copy of a running process keeps the flags of its original, and nothing else."""

from __future__ import annotations

import json
import sys

import pytest

from serverless_flags import FlagSession, State
from serverless_flags import _fork as fork_module
from serverless_flags.clients.memory import MemoryClient

WAIT = 10.0
"""Seconds; a bound against hanging only."""


@pytest.fixture(name="copy_of")
def _copy_of(server):
    """Start a session, let the test change the server, and renew the session."""

    def copy_of(flags, *, seconds=0.0, clock=None):
        flags.start()
        flags.is_enabled("simpleFlag")
        flags.renew()
        if clock is not None:
            clock.advance(seconds)
        return flags

    return copy_of


def test_it_is_new(make, server, copy_of):
    """The original's counts and connection stay with the original."""
    flags = copy_of(make())

    assert State.NEW is flags.status.state
    assert flags.close(WAIT)
    assert 0 == server.asked("POST")


def test_it_checks_whether_the_flags_have_changed(make, server, cloud, copy_of):
    """One conditional request; unchanged flags are not sent again."""
    platform = cloud()
    flags = copy_of(make(platform))
    flags.start()

    assert flags.is_enabled("simpleFlag") is True
    assert ["changed", "unchanged"] == [
        outcome for event, outcome in platform.events if event == "refresh"
    ]
    assert ("server", 1, 0) == (
        flags.status.source,
        flags.status.flags,
        flags.status.age,
    )


def test_it_sees_what_has_changed(make, server, copy_of):
    """The start waits for the answer, whatever the age of the flags."""
    flags = copy_of(make())
    server.flags["simpleFlag"] = False
    flags.start()

    assert flags.is_enabled("simpleFlag") is False


@pytest.mark.parametrize("copies", [1, 2])
def test_it_serves_the_last_flags_if_the_server_fails(
    make, server, clock, copy_of, copies
):
    """They keep their age, even in a copy of a copy that never started."""
    flags = copy_of(make(), seconds=3600, clock=clock)
    for _ in range(copies - 1):
        flags.renew()
    server.status["GET"] = 500
    flags.start()

    assert flags.is_enabled("simpleFlag") is True
    assert (State.READY, "server", 3600) == (
        flags.status.state,
        flags.status.source,
        flags.status.age,
    )


def test_it_logs_that_the_last_flags_are_served(make, server, copy_of, caplog):
    """When the server does not answer in time, no defaults are served."""
    flags = copy_of(make(start_timeout=0.05))
    server.answers.clear()
    flags.start()
    server.answers.set()

    assert "the last flags until they arrive" in caplog.text
    assert flags.is_enabled("simpleFlag") is True


def test_it_serves_no_flags_that_are_too_old(make, server, clock, copy_of):
    """`stale_if_error` applies after a copy as after a freeze."""
    flags = copy_of(make(stale_if_error=60), seconds=3600, clock=clock)
    server.status["GET"] = 500
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()

    assert handler() is False
    assert "none" == flags.status.source


def test_a_snapshot_does_not_replace_the_originals_flags(
    make, server, copy_of, tmp_path
):
    """Where a file is set too, the server's flags are kept and refreshed."""
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(json.loads(server.state())), encoding="utf-8")
    flags = make(snapshot=path)
    flags.start()
    server.flags["simpleFlag"] = False
    assert flags.refresh(WAIT)
    copy_of(flags).start()

    assert flags.is_enabled("simpleFlag") is False
    assert 1 == server.asked("GET")


def test_a_copy_of_a_snapshot_is_still_a_snapshot(make, server, tmp_path):
    """It is served whatever its age, until the server has answered."""
    path = tmp_path / "flags.json"
    path.write_bytes(server.state())
    flags = make(snapshot=path)
    flags.start()
    flags.renew()
    flags.start()
    status = flags.status  # before a question, which begins the first refresh

    assert ("snapshot", None) == (status.source, status.age)
    assert flags.is_enabled("simpleFlag") is True
    assert flags.refresh(WAIT)


def test_an_original_without_flags_leaves_none(make, server, copy_of):
    """Only defaults can be served."""
    server.status["GET"] = 500
    flags = copy_of(make())
    flags.start()

    assert flags.is_enabled("simpleFlag") is False
    assert "none" == flags.status.source


def test_a_client_that_refreshes_itself_has_no_connection(cloud):
    """Nothing has to be closed; the copy uses the same client."""
    client = MemoryClient({"simpleFlag": True})
    with FlagSession(client=client, plugins=[cloud()]) as flags:
        flags.renew()

        assert State.NEW is flags.status.state
        assert flags.is_enabled("simpleFlag") is True


def test_a_fork_without_multiprocessing_is_renewed(make, monkeypatch):
    """multiprocessing is not imported for that."""
    flags = make()
    flags.start()
    monkeypatch.delitem(sys.modules, "multiprocessing.process", raising=False)
    fork_module.renew_all()

    assert State.NEW is flags.status.state


def test_a_dropped_session_can_be_renewed():
    """A fork may come while something still holds what stands behind the session."""
    flags = FlagSession(client="memory")
    core = flags._core
    del flags
    core.renew()

    assert State.NEW is core.process.state
