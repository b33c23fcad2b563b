"""Sessions that are dropped while they are open, as those made in a function are."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import textwrap
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
    """Return what makes a session, evaluates its flag, and drops it."""

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
    """Return what makes a session that nothing but the test holds."""

    def new(**settings):
        given = {"url": server.url, "api_token": "a", "plugins": [cloud()]}
        given |= {"start_timeout": WAIT, "request_timeout": WAIT, "clock": clock}
        return FlagSession(**{**given, **settings})

    return new


def _named(text: str) -> int:
    """Return how many evaluations are named as lost."""
    return sum(int(a) + int(b) for a, b in LOSSES.findall(text))


class TestCounts:
    @pytest.mark.parametrize("client", ["lean", "unleash"])
    def test_they_are_sent_in_the_background(
        self, new, server, drop, until, client
    ) -> None:
        """Whoever drops the session does not wait for it."""
        drop(lambda: new(client=client), times=3)

        assert until(lambda: server.counted() == 3)

    def test_what_is_not_taken_is_named(self, new, server, drop, until, caplog) -> None:
        """One line says how many evaluations are lost."""
        server.status["POST"] = 503
        drop(new, times=3)

        assert until(lambda: _named(caplog.text) == 3)

    def test_what_was_answered_without_flags_is_named(
        self, new, drop, until, caplog, monkeypatch
    ) -> None:
        """A start that failed leaves a session without a client."""

        def fail(*_args: object) -> None:  # a log with its traceback would hold it
            raise ImportError("no engine here")

        monkeypatch.setattr("serverless_flags._process.start.open_backend", fail)
        drop(new, times=2)

        assert until(lambda: _named(caplog.text) == 2)

    def test_it_warns_as_an_open_file_does(self, new) -> None:
        """Where warnings are shown."""
        flags = new()
        flags.start()
        with pytest.warns(ResourceWarning, match="was never closed"):
            del flags
            gc.collect()

    @pytest.mark.parametrize("life", ["never started", "closed"])
    def test_nothing_is_left_to_do(self, new, server, drop, life) -> None:
        """A session that never started has no counts, nor has one that was closed."""
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

    def test_where_no_thread_can_be_started_they_are_named(
        self, new, server, caplog, monkeypatch
    ) -> None:
        """The garbage collector may run anywhere, and waits for no server."""
        flags = new()
        flags.is_enabled("simpleFlag")

        def refuse(*_args: object) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        with monkeypatch.context() as patched:
            patched.setattr("_thread.start_new_thread", refuse)
            del flags
            gc.collect()

        assert 1 == _named(caplog.text) + server.counted()

    def test_a_copy_made_before_does_not_send_the_originals(
        self, new, server, drop
    ) -> None:
        """What is dropped is the copy's."""

        def copied():
            flags = new()
            flags.is_enabled("simpleFlag")
            flags.renew()
            return flags

        drop(copied, times=0)

        assert 0 == server.asked("POST")


def _run(server, code: str, then) -> tuple[int, str]:
    """Run a program with Python's checks on; call ``then`` before its input ends."""
    program = "import gc, sys\nfrom serverless_flags import FlagSession\n"
    environ = {"UNLEASH_URL": server.url, "UNLEASH_API_TOKEN": "a"}
    child = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", program + textwrap.dedent(code)],
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    then()
    _, said = child.communicate("", timeout=60)
    return child.returncode, said


@pytest.mark.parametrize("client", ["lean", "unleash"])
@pytest.mark.parametrize("cycle", [False, True])
def test_a_session_for_each_call(server, until, client, cycle) -> None:
    """Nothing crashes, each count arrives or is named, and one line names the slip."""
    code, said = _run(
        server,
        f"""
        def handler():
            flags = FlagSession(client={client!r}, request_timeout=20)
            flags.itself = flags if {cycle} else None
            with flags.invocation():
                return flags.is_enabled("simpleFlag")

        answers = [(handler(), gc.collect())[0] for _ in range(10)]
        assert answers == [True] * 10, answers
        sys.stdin.read()
        """,
        lambda: until(lambda: server.counted() == 10),
    )

    assert 0 == code, said
    assert "Traceback" not in said
    assert 1 == said.count(SECOND)
    assert 10 == server.counted()


@pytest.fixture(name="inline")
def _inline(monkeypatch):
    """Run what would run on a bare thread on the calling one, at once."""

    def run(work, args: tuple) -> int:
        work(*args)
        return 0

    monkeypatch.setattr("_thread.start_new_thread", run)


class TestClosing:
    """The last flush of a session that is gone."""

    def test_observers_are_told_of_no_session(
        self, new, server, drop, cloud, inline
    ) -> None:
        """There is none any more that they could ask."""
        platform = cloud()
        drop(lambda: new(plugins=[platform]))

        assert 1 == server.counted()
        assert [] == [event for event, _ in platform.events if event == "flush"]

    @pytest.mark.parametrize("by", ["terminate", "close"])
    def test_the_end_of_the_process_waits_for_it(self, make, server, by) -> None:
        """Whether that comes by a signal or in order."""
        flags = make()
        flags.is_enabled("simpleFlag")
        closing = _Closing(flags._core.process)
        before = getattr(closing, by)(0.0)
        closing.run()
        after = getattr(closing, by)(0.0)

        assert 1 == server.counted()
        assert ((None, None) if by == "terminate" else (False, True)) == (before, after)


class TestSecond:
    """Several sessions with the same settings ask for the same flags."""

    def test_the_second_one_is_named(self, new, caplog) -> None:
        """Once; the cure is to make one at module level."""
        sessions = [new() for _ in range(4)]
        for flags in sessions:
            flags.start()
        said = caplog.text.count(SECOND)
        for flags in sessions:
            flags.close()

        assert 1 == said
        assert "at module level" in caplog.text

    def test_one_that_was_closed_is_none(self, new, caplog) -> None:
        """One after the other is as it should be."""
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
    def test_other_settings_are_none(self, new, caplog, other) -> None:
        """They ask for other flags, or evaluate otherwise."""
        with new() as flags, new(**other) as second:
            states = flags.status.state, second.status.state

        assert (State.READY, State.READY) == states
        assert SECOND not in caplog.text

    def test_one_that_never_started_is_none(self, new, caplog) -> None:
        """It has asked nobody."""
        with new():
            new().close()

        assert SECOND not in caplog.text

    def test_one_that_was_dropped_is_one(self, new, drop, caplog) -> None:
        """A session for each call is the mistake that this is about."""
        drop(new)
        drop(new)

        assert 1 == caplog.text.count(SECOND)

    def test_one_that_another_process_started_is_not_taken_away(
        self, new, caplog, monkeypatch
    ) -> None:
        """Closing what was started before a fork says nothing of this process."""
        flags = new()
        flags.start()
        monkeypatch.setattr(start_module, "_started_in", 0)
        flags.close()
        with new():
            pass

        assert SECOND not in caplog.text

    def test_a_copy_counts_for_itself(self, new, caplog, monkeypatch) -> None:
        """In a forked process the first session is the first again."""
        flags = new()
        flags.start()
        real = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: real + 1)
        flags.start()
        flags.close()

        assert SECOND not in caplog.text
