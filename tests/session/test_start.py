"""The start happens once per process, in bounded time, and never raises."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import threading
import warnings
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


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, None),
        (403, None),
        (404, None),
        (500, None),
        (302, None),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"features": [{"name": 7}]}'),
        (200, b"\xff\xfe"),
    ],
)
def test_a_bad_answer_only_means_defaults(make, server, caplog, status, body):
    """Whatever the server answers, defaults are served and one warning says why."""
    server.status["GET"], server.body = status, body
    flags = make(max_age=0, stale_while_revalidate=0)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    answers = [handler() for _ in range(5)]

    assert [False] * 5 == answers
    assert State.DEGRADED is flags.status.state
    assert 1 == len(_warnings(caplog))
    assert "secret" not in caplog.text
    assert flags.status.last_error


def test_a_session_recovers_with_the_next_good_answer(make, server, clock, caplog):
    """After the back-off the server is asked again, and the problem is resolved."""
    caplog.set_level(logging.INFO)
    server.status["GET"] = 500
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    first = handler()
    server.status["GET"] = 200
    clock.advance(400)

    assert first is False
    assert handler() is True
    assert State.READY is flags.status.state
    assert "flags are refreshed again" in caplog.text


def test_a_dead_server_only_means_defaults(make, caplog):
    """A refused connection is one warning and a default."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = make(url=f"http://127.0.0.1:{port}/api")
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert handler() is False
    assert 1 == len(_warnings(caplog))


def test_a_silent_server_delays_the_start_by_start_timeout_only(make, server, caplog):
    """The start stops waiting; the answer is used when it arrives."""
    server.answers.clear()
    flags = make(start_timeout=0.05)
    flags.start()
    waiting = flags.status.state
    server.answers.set()

    assert State.DEGRADED is waiting
    assert "no flags within start_timeout" in caplog.text
    assert flags.refresh(10)
    assert flags.is_enabled("simpleFlag")


def test_no_url_warns_once_and_serves_defaults(caplog):
    """A function can be imported and called in a unit test without any setting."""
    flags = FlagSession(plugins=[])
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    answers = [handler(), handler()]

    assert [False, False] == answers
    assert 1 == len(_warnings(caplog))
    assert "UNLEASH_URL" in caplog.text
    assert flags.refresh() is False
    assert flags.close()


def test_plain_http_to_another_host_warns(caplog):
    """A token that is sent unencrypted gives a warning."""
    flags = FlagSession(url="http://flags.invalid/api", start_timeout=0.001)

    flags.start()
    flags.close(0.001)

    assert "plain http" in caplog.text


def test_https_and_loopback_do_not_warn(make, caplog):
    """There is no warning where only this machine or TLS can reach the server."""
    make().start()
    secure = FlagSession(url="https://127.0.0.1:1/api")
    secure.start()
    secure.close()

    assert "plain http" not in caplog.text


def test_a_client_that_cannot_be_built_means_defaults(make, monkeypatch, caplog):
    """A failure of the session itself is logged, and defaults are served."""
    monkeypatch.setenv("TZ", "UTC")

    def broken(settings: object, app_name: str) -> None:
        raise RuntimeError("no engine here")

    monkeypatch.setattr("serverless_flags._process.start.open_backend", broken)
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert handler() is False
    assert {"name": "disabled", "enabled": False, "feature_enabled": False} == (
        flags.get_variant("simpleFlag")
    )
    assert "could not start" in caplog.text
    assert 2 == flags.status.uncounted
    assert flags.flush()
    assert flags.close()


def test_an_exception_in_a_request_is_a_failed_refresh(make, monkeypatch):
    """Even an unexpected exception in the client's request is a failed refresh."""
    from serverless_flags.clients._unleash_api import UnleashApi

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(UnleashApi, "fetch", broken)
    flags = make()
    flags.start()

    assert "RuntimeError in the flag client" == flags.status.last_error


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


def test_a_token_callable_is_called_again_after_a_401(make, server):
    """A rotated secret is read again and the request repeated once."""
    tokens = iter(["old", "new", "newer"])
    server.status["GET"] = 401

    def rotate() -> str:
        token = next(tokens)
        if token == "new":
            server.status["GET"] = 200
        return token

    flags = make(api_token=rotate)
    flags.start()

    assert State.READY is flags.status.state
    assert ["old", "new"] == server.tokens


def test_a_forked_child_starts_afresh_with_empty_counts(make, server):
    """State belongs to a process: a child makes its own requests and counts."""
    flags = make()
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # a fork of a process with threads
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
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # a fork of a process with threads
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


def test_with_starts_and_closes(make, server):
    """A session is a context manager: entering starts it, leaving closes it."""
    with make() as flags:
        flags.is_enabled("simpleFlag")

    assert State.CLOSED is flags.status.state
    assert 1 == server.counted()


def test_a_session_collected_open_warns(make, cloud):
    """A session that was never closed gives a ResourceWarning, as a file does."""
    from serverless_flags.clients.memory import MemoryClient

    flags = FlagSession(client=MemoryClient(), plugins=[cloud()])
    flags.start()

    with pytest.warns(ResourceWarning, match="was never closed"):
        del flags
        gc.collect()


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


def test_the_fork_hook_renews_every_session(make):
    """After a fork every session in the child is new and inherits nothing."""
    from serverless_flags import _fork as fork_module

    flags = make()
    flags.start()

    fork_module.renew_all()

    assert State.NEW is flags.status.state


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


def test_a_new_session_survives_a_fork(cloud):
    """A session that has not started has nothing to close."""
    flags = FlagSession(client="memory", plugins=[cloud()])

    flags.renew()

    assert State.NEW is flags.status.state
