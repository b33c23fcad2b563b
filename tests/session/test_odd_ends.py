"""Ends and starts that coincide: counts are recorded once, failures are logged."""

from __future__ import annotations

import contextvars
import threading

import pytest

from serverless_flags import FlagSession, State
from serverless_flags._process import start as start_module
from serverless_flags._protocols import Backend

WAIT = 20.0


class Counting:
    """A client in which a flag is evaluated while its counts are drained."""

    def __init__(self):
        self.counted = 0
        self.while_draining = None

    def is_enabled(self, *_args):
        self.counted += 1
        return True

    def get_variant(self, *_args):
        return {}

    def load_state(self, body):
        """Accept any body."""

    def drain_counts(self):
        while_draining, self.while_draining = self.while_draining, None
        if while_draining is not None:
            while_draining()
        counted, self.counted = self.counted, 0
        if not counted:
            return None
        toggles = {"a": {"yes": counted, "no": 0, "variants": {}}}
        return {"start": "1", "stop": "2", "toggles": toggles}


def test_an_evaluation_while_the_counts_are_drained_is_recorded_once(cloud):
    """The client counts it, and the status gets the number from the client."""
    client = Counting()
    flags = FlagSession(client=client, plugins=[cloud()])
    flags.start()
    client.while_draining = lambda: flags.is_enabled("a")
    flags.close(1.0)
    flags.is_enabled("a")

    assert 2 == flags.status.uncounted
    assert 2 == flags.status.uncounted


def test_a_session_closed_while_it_started_is_not_counted_as_open(make, server, caplog):
    """The next session with the same settings gives no warning."""
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
    """The session starts again after the back-off, not with each invocation."""
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
    """A web framework's proxy, evaluated outside a request."""

    def keys(self):
        message = "working outside of request context"
        raise RuntimeError(message)

    def __getitem__(self, name):
        raise RuntimeError


@pytest.mark.parametrize("where", ["callback", "invocation"])
def test_a_context_that_raises_is_left_out(make, where, caplog):
    """The flag is evaluated without it, and one warning names its type."""
    flags = make(context=(lambda _: Lazy()) if where == "callback" else None)
    flags.start()
    with flags.invocation(context=Lazy() if where == "invocation" else None):
        answer = flags.is_enabled("simpleFlag")

    assert answer is True
    assert 1 == caplog.text.count("is not a mapping but Lazy")


@pytest.mark.parametrize("how", ["start", "refresh", "flush", "terminate", "close"])
def test_a_timeout_may_be_huge(make, how):
    """A timeout longer than a thread can wait is the longest possible wait."""
    flags = make()
    flags.is_enabled("simpleFlag")
    getattr(flags, how)(1e10)

    assert State.STARTING is not flags.status.state


def test_a_copied_context_follows_the_open_invocation(make):
    """When a nested invocation has ended, the one around it applies."""
    flags = make(client=Seen())
    with flags.invocation(context={"userId": "7"}):
        with flags.invocation(context={"sessionId": "8"}):
            context = contextvars.copy_context()
        seen = context.run(flags.is_enabled, "simpleFlag")

    assert {"userId": "7"} == seen


class Seen:
    """A client that returns the context."""

    def is_enabled(self, _name, context, _fallback):
        return context

    def get_variant(self, _name, _context):
        return {}
