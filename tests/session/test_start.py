"""The start happens once per process, in bounded time, and never raises."""

from __future__ import annotations

import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import FlagSession, PluginError, State, hookimpl


def _warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_the_first_invocation_starts_the_session(make, server):
    """No request is made before the first invocation; then it gets the flags."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    before = server.asked("GET"), flags.status.state

    answer = handler()

    assert (0, State.NEW) == before
    assert answer is True
    assert (State.READY, "server", 1) == (
        flags.status.state,
        flags.status.source,
        flags.status.flags,
    )


def test_fifty_first_invocations_start_once(make, server):
    """Concurrent first invocations share one start, and all get the flags."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    gate = threading.Barrier(50)

    def call() -> bool:
        gate.wait()
        return handler()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: call(), range(50)))

    assert [True] * 50 == answers
    assert 1 == server.asked("GET")


def test_a_platform_may_start_at_wrap(make, server, cloud):
    """Where the platform allows it, wrapping starts the session: during Init on AWS."""
    flags = make(cloud(starts_client_at_wrap=True))

    flags.wrap(lambda: None)

    assert State.READY is flags.status.state
    assert 1 == server.asked("GET")


def test_an_explicit_start_connects_the_signals(make, cloud):
    """A session that is started without `wrap` gets the shutdown notice too."""
    platform = cloud()
    flags = make(platform)

    flags.start()

    assert [("connect", "wrap"), ("refresh", "changed")] == platform.events
    assert "connected" == flags.status.termination


def test_a_client_object_refreshes_itself(cloud):
    """The session only evaluates flags with a client that the user passes."""
    from serverless_flags.clients.memory import MemoryClient

    client = MemoryClient({"simpleFlag": True})
    flags = FlagSession(client=client, plugins=[cloud()])
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert handler() is True
    assert (State.READY, "client", None) == (
        flags.status.state,
        flags.status.source,
        flags.status.age,
    )
    assert flags.flush()
    assert flags.refresh() is False
    assert flags.close()


def test_with_starts_and_closes(make, server):
    """A session is a context manager: entering starts it, leaving closes it."""
    with make() as flags:
        flags.is_enabled("simpleFlag")

    assert State.CLOSED is flags.status.state
    assert 1 == server.counted()


def test_a_session_collected_open_warns(make, cloud):
    """A session that was never closed gives a ResourceWarning, as a file does."""
    from serverless_flags.clients.memory import MemoryClient

    held = [FlagSession(client=MemoryClient(), plugins=[cloud()])]
    held[0].start()

    def drop() -> None:
        held.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match="was never closed"):
        drop()


def test_nothing_shows_the_token(make):
    """Neither the session nor its status shows the token."""
    flags = make()

    assert "secret" not in repr(flags)
    assert "secret" not in repr(flags.status)
    assert "secret" not in repr(flags._core.settings)


def test_signals_are_connected_once_by_many_first_invocations(make, cloud):
    """While one first invocation connects the signals, the others wait for it."""
    connecting, go_on = threading.Event(), threading.Event()

    class Slow(cloud):
        @hookimpl
        def connect_instance(self, at: str) -> bool:
            connecting.set()
            go_on.wait(10)
            return super().connect_instance(at)

    platform = Slow()
    flags = make(platform)
    go_on.set()
    handler = flags.wrap(lambda: None)
    go_on.clear()
    connecting.clear()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(handler)
        connecting.wait(10)
        second = pool.submit(handler)
        go_on.set()
        first.result()
        second.result()

    assert 1 == platform.events.count(("connect", "first_invocation"))


def test_a_signal_during_the_start_is_not_forgotten(make, server):
    """A session that gets its shutdown notice during the start is TERMINATING."""
    server.answers.clear()
    flags = make()
    starting = threading.Thread(target=flags.start)
    starting.start()
    server.arrived.acquire(timeout=10)
    flags.terminate(1)
    server.answers.set()
    starting.join(10)

    assert State.TERMINATING is flags.status.state


def test_a_session_that_cannot_use_its_plugins_lets_the_function_run(server, caplog):
    """`wrap` raises; an invocation runs without the plugins and logs that once."""
    flags = FlagSession(url=server.url, plugins=["no_such_module"])
    with pytest.raises(PluginError):
        flags.wrap(lambda: None)
    with flags.invocation():
        first = flags.is_enabled("simpleFlag")

    assert first is True
    assert flags.is_enabled("simpleFlag") is True
    assert "local" == flags.status.platform
    assert 1 == caplog.text.count("'no_such_module' cannot be imported")
    flags.close()


def test_plugins_are_discovered_once_by_many_threads(monkeypatch):
    """While one thread discovers the plugins, the others wait for them."""
    from serverless_flags import _core as core_module

    searching, go_on, found = threading.Event(), threading.Event(), []

    def discover(settings: object, session: object) -> object:
        searching.set()
        go_on.wait(10)
        found.append(object())
        return found[0]

    monkeypatch.setattr(core_module, "discover", discover)
    flags = FlagSession(client="memory")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: flags._core.plugins)
        searching.wait(10)
        second = pool.submit(lambda: flags._core.plugins)
        go_on.set()

        assert first.result() is second.result()
    assert 1 == len(found)
