"""After a failed start defaults are served, and a later attempt is made."""

from __future__ import annotations

import asyncio
import logging

import pytest

from serverless_flags import FlagSession, State
from serverless_flags._process import start as start_module
from serverless_flags._protocols import DISABLED, Backend
from serverless_flags.clients.memory import MemoryClient

LONG = 400.0
"""Seconds, longer than any back-off."""


def _warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.fixture(name="loads")
def _loads(monkeypatch):
    """Load a client that needs no server; return the next failures and the attempts."""
    faults: list[Exception] = []
    loads: list[int] = []

    def load():
        loads.append(1)
        if faults:
            raise faults.pop(0)
        return MemoryClient({"simpleFlag": True})

    monkeypatch.setattr(start_module, "open_backend", lambda *_args: Backend(load))
    return faults, loads


@pytest.fixture(name="invoke", params=["sync", "async"])
def _invoke(request):
    """Return a function that evaluates the flag inside a sync or async invocation."""

    def invoke(flags):
        if request.param == "sync":
            return flags.wrap(lambda: flags.is_enabled("simpleFlag"))()

        async def handler():
            return flags.is_enabled("simpleFlag")

        return asyncio.run(flags.wrap(handler)())

    return invoke


def test_the_next_due_invocation_starts_again(make, clock, loads, invoke):
    """After a back-off, not at once; until then defaults are served and logged."""
    faults, attempts = loads
    faults.append(RuntimeError("no engine here"))
    flags = make()
    first = invoke(flags), flags.status
    second = invoke(flags), len(attempts)
    clock.advance(LONG)
    third = invoke(flags), flags.status

    assert (False, State.DEGRADED, "RuntimeError: no engine here") == (
        first[0],
        first[1].state,
        first[1].last_error,
    )
    assert (False, 1) == second
    assert (True, State.READY, None) == (
        third[0],
        third[1].state,
        third[1].last_error,
    )
    assert 2 == len(attempts)
    assert 2 == flags.status.uncounted


def test_an_evaluation_outside_invocations_starts_again_too(make, clock, loads):
    """A script that evaluates flags recovers as a wrapped function does."""
    faults, _ = loads
    faults.append(OSError("libengine.so: cannot open shared object file"))
    flags = make()
    before = flags.is_enabled("simpleFlag"), flags.get_variant("simpleFlag")
    clock.advance(LONG)

    assert (False, DISABLED) == before
    assert flags.is_enabled("simpleFlag") is True


@pytest.mark.parametrize("begin", ["start", "refresh", "with"])
def test_each_way_to_start_makes_it_again(make, clock, loads, begin):
    """An explicit start, a refresh and a `with` block start again too."""
    faults, attempts = loads
    faults.append(RuntimeError("no engine here"))
    flags = make()
    for _ in range(2):
        if begin == "with":
            flags.__enter__()
        else:
            getattr(flags, begin)()
        clock.advance(LONG)

    assert State.READY is flags.status.state
    assert 2 == len(attempts)


def test_one_warning_however_often_it_fails(make, clock, loads, caplog):
    """Further attempts that fail for the same reason log nothing new."""
    faults, _ = loads
    faults.extend(RuntimeError("no engine here") for _ in range(3))
    flags = make()
    for _ in range(3):
        flags.start()
        clock.advance(LONG)

    assert 1 == len(_warnings(caplog))
    assert "RuntimeError: no engine here" in _warnings(caplog)[0]


@pytest.mark.parametrize(
    ("fault", "traceback"),
    [
        (ImportError("the bundle lacks dist-info: build it anew"), False),
        (ModuleNotFoundError("No module named 'UnleashClient'"), False),
        (ImportError(), True),
        (RuntimeError("no engine here"), True),
    ],
)
def test_an_import_that_explains_itself_needs_no_traceback(
    make, loads, caplog, fault, traceback
):
    """Its message has the cause and the cure, in the log and in the status."""
    faults, _ = loads
    faults.append(fault)
    flags = make()
    flags.start()
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]

    assert traceback is bool(record.exc_info)
    assert str(fault) in record.getMessage()
    assert str(fault) in flags.status.last_error


def test_the_server_is_asked_again(make, server, clock, monkeypatch, until):
    """The connection of a failed attempt is closed."""
    real, failing = start_module.open_backend, [True]
    sessions = []

    def open_backend(settings, name):
        backend = real(settings, name)

        real_load = backend.load

        def load():
            if failing.pop():
                flights = sessions[0]._core.process.server_sync.refresher.under_way
                assert until(lambda: server.asked("GET") and not flights)
                raise RuntimeError("no engine here")
            return real_load()

        backend.load = load
        return backend

    monkeypatch.setattr(start_module, "open_backend", open_backend)
    flags = make()
    sessions.append(flags)
    flags.start()
    failed = flags.status.state, flags.flush(), flags.refresh()
    failing.append(False)
    clock.advance(LONG)
    flags.start()

    assert (State.DEGRADED, True, False) == failed
    assert flags.is_enabled("simpleFlag") is True
    assert 2 == server.asked("GET")


def test_a_shutdown_notice_before_the_recovery_holds(make, clock, loads):
    """A session that was notified while degraded is TERMINATING once it recovers."""
    faults, _ = loads
    faults.append(RuntimeError("no engine here"))
    flags = make()
    flags.start()
    flags.terminate(1)
    clock.advance(LONG)
    flags.start()

    assert State.TERMINATING is flags.status.state


def test_a_closed_session_does_not_start_again(make, clock, loads):
    """Evaluations without a client are logged as lost at the end."""
    faults, attempts = loads
    faults.append(RuntimeError("no engine here"))
    flags = make()
    flags.is_enabled("simpleFlag")
    flags.close()
    clock.advance(LONG)

    assert flags.is_enabled("simpleFlag") is False
    assert 1 == len(attempts)
    assert (State.CLOSED, 2) == (flags.status.state, flags.status.uncounted)


class TestReasons:
    """The status of a session without flags has the reason and the cure."""

    def test_nothing_within_start_timeout(self, make, server, until):
        """While the first request is under way, the reason is that it takes long."""
        server.answers.clear()
        flags = make(start_timeout=0.05)
        flags.start()
        waiting = flags.status
        server.answers.set()

        assert (State.DEGRADED, "none") == (waiting.state, waiting.source)
        assert "no flags within start_timeout" in waiting.last_error
        assert until(lambda: flags.status.state is State.READY)
        assert flags.status.last_error is None

    def test_no_url(self, caplog):
        """The log and the status name the missing setting."""
        with FlagSession(plugins=[]) as flags:
            status = flags.status

        assert State.DEGRADED is status.state
        assert "UNLEASH_URL" in status.last_error
        assert status.last_error in caplog.text

    def test_a_snapshot_needs_no_url(self, server, tmp_path):
        """A session with a snapshot needs no server."""
        path = tmp_path / "flags.json"
        path.write_bytes(server.state())
        with FlagSession(plugins=[], snapshot=path) as flags:
            status = flags.status

        assert (State.READY, None) == (status.state, status.last_error)

    @pytest.mark.parametrize("by", ["setting", "environment"])
    @pytest.mark.parametrize(("on_cloud", "warnings"), [(True, 1), (False, 0)])
    def test_flags_from_memory(
        self, server, cloud, monkeypatch, caplog, by, on_cloud, warnings
    ):
        """The client ``memory`` is a mistake on a cloud, but not on a laptop."""
        given = {"client": "memory"}
        if by == "environment":
            monkeypatch.setenv("SERVERLESS_FLAGS_CLIENT", given.pop("client"))
        plugins = [cloud()] if on_cloud else []
        flags = FlagSession(url=server.url, api_token="a", plugins=plugins, **given)
        handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
        handler()
        handler()
        flags.close()

        assert warnings == sum("client='memory'" in text for text in _warnings(caplog))
