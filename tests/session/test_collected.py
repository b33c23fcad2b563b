"""Sessions that are garbage-collected while open, as those made in a function are."""

from __future__ import annotations

import gc
import os
import re
import warnings

import pytest

from serverless_flags import FlagSession, State
from serverless_flags._process import start as start_module
from serverless_flags._process.collected import _Closing
from serverless_flags.clients.memory import MemoryClient

WAIT = 20.0
"""Seconds; a bound against hanging only."""

SECOND = "a second FlagSession with the same settings"
LOSSES = re.compile(r"(\d+) evaluations were not counted, (\d+) were sent")

pytestmark = pytest.mark.filterwarnings("ignore:.*was never closed:ResourceWarning")


@pytest.fixture(name="drop", params=["by reference", "in a cycle"])
def _drop(request):
    """Return a function that makes a session, evaluates its flag and drops it."""

    def drop(new, *, times=1):
        flags = new()
        for _ in range(times):
            flags.is_enabled("simpleFlag")
        if request.param == "in a cycle":
            flags.itself = flags
        del flags
        gc.collect()

    return drop


@pytest.fixture(name="new")
def _new(server, clock, cloud):
    """Return a function that makes a session to which only the test refers."""

    def new(**settings):
        given = {"url": server.url, "api_token": "a", "plugins": [cloud()]}
        given |= {"start_timeout": WAIT, "request_timeout": WAIT, "clock": clock}
        return FlagSession(**{**given, **settings})

    return new


def _named(text: str) -> int:
    """Return how many evaluations the log reports as lost."""
    return sum(int(a) + int(b) for a, b in LOSSES.findall(text))


class TestCounts:
    @pytest.mark.parametrize("client", ["lean", "unleash"])
    def test_its_counts_are_sent_in_the_background(
        self, new, server, drop, until, client
    ) -> None:
        """The code that drops a session does not wait for its flush."""
        drop(lambda: new(client=client), times=3)

        assert until(lambda: server.counted() == 3)

    def test_counts_that_are_not_accepted_are_logged(
        self, new, server, drop, until, caplog
    ) -> None:
        """One line says how many evaluations are lost."""
        server.status["POST"] = 503
        drop(new, times=3)

        assert until(lambda: _named(caplog.text) == 3)

    def test_evaluations_without_flags_are_logged(
        self, new, drop, until, caplog, monkeypatch
    ) -> None:
        """They are logged too when a failed start left no client."""

        def fail(*_args: object) -> None:  # a log with its traceback would hold it
            raise ImportError("no engine here")

        monkeypatch.setattr("serverless_flags._process.start.open_backend", fail)
        drop(new, times=2)

        assert until(lambda: _named(caplog.text) == 2)

    def test_it_gives_a_resource_warning(self, new) -> None:
        """As for a file that was left open, where such warnings are shown."""
        held = [new()]
        held[0].start()

        def drop() -> None:
            held.clear()
            gc.collect()

        with pytest.warns(ResourceWarning, match="was never closed"):
            drop()

    @pytest.mark.parametrize("life", ["never started", "closed"])
    def test_a_session_without_counts_is_not_flushed(
        self, new, server, drop, life
    ) -> None:
        """A session that never started, or was closed, has nothing to send."""
        flags = new()
        if life == "closed":
            flags.start()
            flags.close()
        asked = len(server.requests)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del flags
            gc.collect()

        assert asked == len(server.requests)

    def test_where_no_thread_can_be_started_counts_are_logged(
        self, new, server, caplog, monkeypatch
    ) -> None:
        """The garbage collector may run anywhere, so it waits for no server."""
        flags = new()
        flags.is_enabled("simpleFlag")

        def refuse(*_args: object) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        with monkeypatch.context() as patched:
            patched.setattr("_thread.start_new_thread", refuse)
            del flags
            gc.collect()

        assert 1 == _named(caplog.text) + server.counted()

    def test_a_copy_made_before_does_not_send_the_originals_counts(
        self, new, server, drop
    ) -> None:
        """Only the copy's own counts are sent when it is dropped."""

        def copied():
            flags = new()
            flags.is_enabled("simpleFlag")
            flags.renew()
            return flags

        drop(copied, times=0)

        assert 0 == server.asked("POST")


@pytest.fixture(name="inline")
def _inline(monkeypatch):
    """Run background work inline, on the calling thread."""

    def run(work, args: tuple) -> int:
        work(*args)
        return 0

    monkeypatch.setattr("_thread.start_new_thread", run)


class TestClosing:
    """The last flush of a collected session."""

    def test_observers_are_not_called(self, new, server, drop, cloud, inline) -> None:
        """There is no session left to pass to them."""
        platform = cloud()
        drop(lambda: new(plugins=[platform]))

        assert 1 == server.counted()
        assert [] == [event for event, _ in platform.events if event == "flush"]

    @pytest.mark.parametrize("by", ["terminate", "close"])
    def test_the_end_of_the_process_waits_for_the_flush(self, make, server, by) -> None:
        """At SIGTERM and at the interpreter's exit."""
        flags = make()
        flags.is_enabled("simpleFlag")
        closing = _Closing(flags._core.process)
        before = getattr(closing, by)(0.0)
        closing.run()
        after = getattr(closing, by)(0.0)

        assert 1 == server.counted()
        assert ((None, None) if by == "terminate" else (False, True)) == (before, after)


class TestSecond:
    """Several sessions with the same settings are reported."""

    def test_the_second_one_is_reported(self, new, caplog) -> None:
        """One warning says to create one session at module level."""
        sessions = [new() for _ in range(4)]
        for flags in sessions:
            flags.start()
        said = caplog.text.count(SECOND)
        for flags in sessions:
            flags.close()

        assert 1 == said
        assert "at module level" in caplog.text

    def test_a_closed_one_does_not_count(self, new, caplog) -> None:
        """Sessions that are open one after the other are no mistake."""
        for _ in range(3):
            with new() as flags:
                flags.is_enabled("simpleFlag")

        assert SECOND not in caplog.text

    @pytest.mark.parametrize(
        "other",
        [
            {"app_name": "other"},
            {"environment": "other"},
            {"project_name": "other"},
            {"client": "lean"},
            {"client": MemoryClient()},
        ],
        ids=lambda other: next(iter(other)),
    )
    def test_other_settings_do_not_count(self, new, caplog, other) -> None:
        """Such sessions request other flags, or evaluate them differently."""
        with new() as flags, new(**other) as second:
            states = flags.status.state, second.status.state

        assert (State.READY, State.READY) == states
        assert SECOND not in caplog.text

    def test_one_that_never_started_does_not_count(self, new, caplog) -> None:
        """It has requested no flags."""
        with new():
            new().close()

        assert SECOND not in caplog.text

    def test_a_dropped_one_counts(self, new, drop, caplog) -> None:
        """A session per call is the mistake that the warning is about."""
        drop(new)
        drop(new)

        assert 1 == caplog.text.count(SECOND)

    def test_closing_an_inherited_session_does_not_count(
        self, new, caplog, monkeypatch
    ) -> None:
        """A session started before a fork is not one of this process."""
        flags = new()
        flags.start()
        monkeypatch.setattr(start_module, "_started_in", 0)
        flags.close()
        with new():
            pass

        assert SECOND not in caplog.text

    def test_a_forked_process_counts_from_zero(self, new, caplog, monkeypatch) -> None:
        """Its first session is the first again."""
        flags = new()
        flags.start()
        real = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: real + 1)
        flags.start()
        flags.close()

        assert SECOND not in caplog.text
