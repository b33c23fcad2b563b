"""A runtime's exceptions propagate from any line of an evaluation."""

from __future__ import annotations

import json
import signal
import sys

import pytest

import serverless_flags
from serverless_flags import _passing as passing_module
from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend

PACKAGE = serverless_flags.__path__[0]
FLAGS = [
    {"name": "on", "enabled": True, "strategies": [], "impressionData": True},
    {"name": "custom", "enabled": True, "strategies": [{"name": "mine"}]},
]
FLAGS[1]["strategies"][0]["parameters"] = {}
CONTEXT = {"userId": 7, "plan": "pro", "properties": {"size": 3}}


class OvertimeError(Exception):
    """Like functions-framework's RequestTimeoutException."""


class Mine:
    """A custom strategy that raises a given exception."""

    error: BaseException | None = None

    def apply(self, _parameters, _context):
        if self.error is not None:
            raise self.error
        return True


@pytest.fixture(name="new", params=["unleash", "lean"])
def _new(request):
    """Return a function that makes a client with a flag of each kind."""

    def new(**given):
        chosen = load_settings({"client": request.param, **given}, {})
        client = open_backend(chosen, "checkout").load()
        client.load_state(json.dumps({"version": 2, "features": FLAGS}))
        return client

    return new


@pytest.fixture(name="passing")
def _passing(monkeypatch):
    """Let `OvertimeError` pass, as an adapter does for its platform's exceptions."""
    name = f"{__name__}.OvertimeError"
    monkeypatch.setattr(passing_module, "_names", frozenset({name}))


def _raised_at(line, ask):
    """Call ``ask`` and raise at the given line; return the exception that came."""
    left = [line]

    def trace(frame, event, _argument):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                sys.settrace(None)
                raise OvertimeError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        answer = ask()
    except OvertimeError:
        return OvertimeError
    finally:
        sys.settrace(before)
    return None if left[0] > 0 else answer


ASKED = {
    "is_enabled": lambda client: client.is_enabled("on", CONTEXT),
    "get_variant": lambda client: client.get_variant("on", CONTEXT),
    "a custom strategy": lambda client: client.is_enabled("custom", CONTEXT),
    "a variant": lambda client: client.get_variant("custom", CONTEXT),
    "a fallback": lambda client: client.is_enabled("none", CONTEXT, lambda *_: True),
    "an unknown flag": lambda client: client.get_variant("none", CONTEXT),
    "pairs": lambda client: client.is_enabled("on", [("userId", 7)]),
}


class TestAnyLine:
    @pytest.mark.usefixtures("passing")
    @pytest.mark.parametrize("asked", ASKED)
    def test_it_reaches_the_caller(self, new, asked) -> None:
        """Line by line; and the next evaluation has a result and is counted."""
        impressions = []
        client = new(strategies={"mine": Mine()}, on_impression=impressions.append)
        ask, line = ASKED[asked], 1
        expected = ask(client)
        while (came := _raised_at(line, lambda: ask(client))) is not None:
            assert came is OvertimeError, line
            line += 1

        assert line > 10
        client.drain_counts()
        assert expected == ask(client)
        assert 1 == sum(t["yes"] + t["no"] for t in _toggles(client))

    @pytest.mark.parametrize("asked", ["is_enabled", "get_variant", "pairs"])
    def test_an_unnamed_exception_propagates_too(self, new, asked) -> None:
        """At lines where no strategy, fallback or listener is called."""
        client, line = new(), 1
        ASKED[asked](client)
        while (came := _raised_at(line, lambda: ASKED[asked](client))) is not None:
            assert came is OvertimeError, line
            line += 1

        assert line > 10


def _toggles(client):
    return client.drain_counts()["toggles"].values()


class TestCallbacks:
    @pytest.mark.usefixtures("passing")
    @pytest.mark.parametrize("where", ["strategy", "fallback", "listener"])
    def test_a_passing_exception_is_not_the_callbacks_failure(self, new, where) -> None:
        """It may be raised while a callback runs."""

        def fail(*_arguments):
            raise OvertimeError

        mine = Mine()
        listener = fail if where == "listener" else None
        client = new(strategies={"mine": mine}, on_impression=listener)
        mine.error = OvertimeError() if where == "strategy" else None
        name = {"strategy": "custom", "fallback": "none", "listener": "on"}[where]
        with pytest.raises(OvertimeError):
            client.is_enabled(name, None, fail)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
    @pytest.mark.parametrize("where", ["strategy", "fallback", "listener"])
    def test_a_base_exception_propagates(self, new, where, error) -> None:
        """As everywhere."""

        def fail(*_arguments):
            raise error

        mine = Mine()
        listener = fail if where == "listener" else None
        client = new(strategies={"mine": mine}, on_impression=listener)
        mine.error = error() if where == "strategy" else None
        name = {"strategy": "custom", "fallback": "none", "listener": "on"}[where]
        with pytest.raises(error):
            client.is_enabled(name, None, fail)

    @pytest.mark.parametrize("where", ["strategy", "fallback", "listener"])
    def test_any_other_exception_affects_one_evaluation(
        self, new, where, caplog
    ) -> None:
        """That evaluation is recorded once: as counted, or as uncounted."""

        def fail(*_arguments):
            raise KeyError

        mine = Mine()
        listener = fail if where == "listener" else None
        client = new(strategies={"mine": mine}, on_impression=listener)
        mine.error = KeyError() if where == "strategy" else None
        name = {"strategy": "custom", "fallback": "none", "listener": "on"}[where]
        answers = [client.is_enabled(name, None, fail) for _ in range(2)]
        counted = client.drain_counts()

        assert [where == "listener"] * 2 == answers
        assert (2 if counted is None else 0) == client.uncounted
        assert 1 == len(caplog.messages)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm on this system")
def test_an_alarm_is_not_caught(new) -> None:
    """Its handler raises between any two lines, also in UnleashClient."""

    def ring(*_):
        raise OvertimeError

    client, swallowed = new(), 0
    trace = sys.gettrace()
    sys.settrace(None)  # an alarm inside coverage would leave its lock held
    before = signal.signal(signal.SIGALRM, ring)
    try:
        for tenths in range(40):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.002 + tenths / 10_000)
                for _ in range(100_000):
                    client.is_enabled("on", CONTEXT)
                swallowed += 1
            except OvertimeError:
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.settrace(trace)

    assert 0 == swallowed
