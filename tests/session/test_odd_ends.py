"""Ends and starts that meet: each evaluation is booked once, no failure is silent."""

from __future__ import annotations

import contextvars
import threading

import pytest

from serverless_flags import FlagSession, State
from serverless_flags._process import start as start_module
from serverless_flags._protocols import Backend

WAIT = 20.0


class Counting:
    """A client whose counts are drained, and something asks it meanwhile."""

    def __init__(self):
        self.counted = 0
        self.meanwhile = None

    def is_enabled(self, *_args):
        self.counted += 1
        return True

    def get_variant(self, *_args):
        return {}

    def load_state(self, body):
        """Take any."""

    def drain_counts(self):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        counted, self.counted = self.counted, 0
        if not counted:
            return None
        toggles = {"a": {"yes": counted, "no": 0, "variants": {}}}
        return {"start": "1", "stop": "2", "toggles": toggles}


def test_an_evaluation_while_the_counts_are_drained_is_booked_once(cloud):
    """It is counted by the client, and the status asks the client for it."""
    client = Counting()
    flags = FlagSession(client=client, plugins=[cloud()])
    flags.start()
    client.meanwhile = lambda: flags.is_enabled("a")
    flags.close(1.0)
    flags.is_enabled("a")

    assert 2 == flags.status.uncounted
    assert 2 == flags.status.uncounted


def test_a_session_closed_while_it_started_is_not_counted_as_open(make, server, caplog):
    """The next one with its settings is none too many."""
    server.answers.clear()
    flags = make()
    thread = threading.Thread(target=flags.start)
    thread.start()
    server.arrived.acquire(timeout=WAIT)
    flags.close(1.0)
    server.answers.set()
    thread.join(WAIT)
    make().start()

    assert "a second FlagSession" not in caplog.text


@pytest.mark.parametrize("error", [SystemExit("no licence"), KeyboardInterrupt()])
def test_an_exit_while_loading_is_a_failed_start(make, clock, monkeypatch, error):
    """It is made again after the back-off, not by each invocation."""
    loads = []

    def load():
        loads.append(1)
        raise error

    monkeypatch.setattr(start_module, "open_backend", lambda *_args: Backend(load))
    flags = make()
    for _ in range(3):
        with flags.invocation():
            flags.is_enabled("simpleFlag")

    assert State.DEGRADED is flags.status.state
    assert type(error).__name__ in flags.status.last_error
    assert 1 == len(loads)


class Lazy:
    """A proxy of a web framework, asked outside of a request."""

    def keys(self):
        message = "working outside of request context"
        raise RuntimeError(message)

    def __getitem__(self, name):
        raise RuntimeError


@pytest.mark.parametrize("where", ["callback", "invocation"])
def test_a_mapping_that_raises_costs_the_context(make, where, caplog):
    """Not the answer; one warning names it."""
    flags = make(context=(lambda _: Lazy()) if where == "callback" else None)
    flags.start()
    with flags.invocation(context=Lazy() if where == "invocation" else None):
        answer = flags.is_enabled("simpleFlag")

    assert answer is True
    assert 1 == caplog.text.count("is not a mapping but Lazy")


@pytest.mark.parametrize("how", ["start", "refresh", "flush", "terminate", "close"])
def test_a_timeout_may_be_huge(make, how):
    """Longer than a thread can wait for is as long as it can."""
    flags = make()
    flags.is_enabled("simpleFlag")
    getattr(flags, how)(1e10)

    assert State.STARTING is not flags.status.state


def test_a_copy_of_a_context_follows_the_invocation_that_goes_on(make):
    """Where a nested one has ended, the one around it counts."""
    flags = make(client=Seen())
    with flags.invocation(context={"userId": "7"}):
        with flags.invocation(context={"sessionId": "8"}):
            context = contextvars.copy_context()
        seen = context.run(flags.is_enabled, "simpleFlag")

    assert {"userId": "7"} == seen


class Seen:
    """A client that answers with the context."""

    def is_enabled(self, _name, context, _fallback):
        return context

    def get_variant(self, _name, _context):
        return {}
