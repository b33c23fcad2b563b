"""Failing or doubtful."""

from __future__ import annotations

import threading

import pytest

from serverless_flags import FlagSession, State, _startup
from serverless_flags._client import Backend

WAIT = 20.0


class Counting:
    """A state client whose counts are looked at as the session ends."""

    def __init__(self):
        self.n = 0
        self.during = None

    def is_enabled(self, *a):
        self.n += 1
        return True

    def get_variant(self, *a):
        return {}

    def take_state(self, body): ...
    def take_counts(self):
        if self.during:
            during, self.during = self.during, None
            during()
        n, self.n = self.n, 0
        return (
            {
                "start": "1",
                "stop": "2",
                "toggles": {"a": {"yes": n, "no": 0, "variants": {}}},
            }
            if n
            else None
        )


def test_an_evaluation_while_the_session_closes_is_booked_once(cloud):
    """ClosedClient notes it, and give_up drains it from the engine: twice."""
    client = Counting()
    flags = FlagSession(client=client, plugins=[cloud()])
    flags.start()
    client.during = lambda: flags.is_enabled("a")
    flags._instance._shut()
    assert (
        flags._instance.uncounted.value + flags._instance.parts.flusher.counts.uncounted
        == 1
    )


def test_a_session_closed_while_it_started_is_not_counted_as_open(make, server, caplog):
    server.answers.clear()
    flags = make()
    thread = threading.Thread(target=flags.start)
    thread.start()
    server.arrived.acquire(timeout=WAIT)
    flags.close(1.0)
    server.answers.set()
    thread.join(WAIT)
    other = make()
    other.start()
    assert "a second FlagSession" not in caplog.text


@pytest.mark.parametrize("error", [SystemExit("no licence"), KeyboardInterrupt()])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_exit_while_loading_is_a_failed_start(
    make, clock, monkeypatch, error, caplog
):
    loads = []

    def load():
        loads.append(1)
        raise error

    monkeypatch.setattr(_startup, "open_backend", lambda *_a: Backend(load))
    flags = make()
    for _ in range(3):
        with flags.invocation():
            flags.is_enabled("simpleFlag")
    assert State.DEGRADED is flags.status.state
    assert flags.status.last_error
    assert len(loads) == 1


class Lazy:
    """A proxy of a web framework, asked outside of a request."""

    def keys(self):
        raise RuntimeError("working outside of request context")

    def __getitem__(self, name):
        raise RuntimeError


@pytest.mark.parametrize("where", ["callback", "invocation"])
def test_a_lazy_mapping_that_raises_costs_the_context(make, where, caplog):
    flags = make(context=(lambda i: Lazy()) if where == "callback" else None)
    flags.start()
    with flags.invocation(context=Lazy() if where == "invocation" else None):
        assert flags.is_enabled("simpleFlag") is True


@pytest.mark.parametrize("how", ["start", "refresh", "flush", "terminate", "close"])
def test_a_huge_timeout(make, how):
    flags = make()
    flags.is_enabled("simpleFlag")
    getattr(flags, how)(1e10)


def test_nested_ended_copy_still_in_outer(make, server):
    """A thread with a copy of a nested invocation that ended, while the outer goes on."""
    import contextvars

    server.flags = {"alice": ["alice"]}
    flags = make()
    with flags.invocation(context={"userId": "alice"}):
        with flags.invocation(context={"sessionId": "7"}):
            context = contextvars.copy_context()
        assert context.run(flags.is_enabled, "alice") is True
