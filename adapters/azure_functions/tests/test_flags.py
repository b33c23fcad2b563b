"""Flags in a function app, from the first invocation to the instance's end."""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import socket
from pathlib import Path

import pytest

from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing import FlagServer, emulate

EXAMPLE = Path(__file__).parents[3] / "examples" / "azure_functions" / "function_app.py"

ALWAYS_REFRESH = {
    "SERVERLESS_FLAGS_MAX_AGE": "0",
    "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
}

CONTEXT_FLAGS = {
    "version": 2,
    "features": [
        {
            "name": name,
            "enabled": True,
            "strategies": [
                {
                    "name": "default",
                    "parameters": {},
                    "constraints": [
                        {"contextName": field, "operator": "IN", "values": [value]}
                    ],
                }
            ],
        }
        for name, field, value in (
            ("byAddress", "remoteAddress", "127.0.0.1"),
            ("byUser", "userId", "alice"),
            ("byPath", "path", "/api/context"),
            ("byMethod", "method", "GET"),
        )
    ],
}


@pytest.mark.parametrize("function", ["hello", "hello_async"])
def test_the_example_obeys_a_flip_at_once(flag_server, function):
    """With ages 0 the next invocation has the new state, in pool and loop alike."""
    environ = {**flag_server.environ, **ALWAYS_REFRESH}
    target = f"{EXAMPLE}:{function}"
    with emulate("azure_functions", target, environ=environ) as instance:
        before = instance.request().json()
        flag_server.set("simpleFlag", False)
        after = instance.request().json()
        end = instance.terminate()

    assert before == {"message": "Feature flag 'simpleFlag' is enabled"}
    assert after == {"message": "Feature flag 'simpleFlag' is disabled"}
    assert end.code == -15
    counts = flag_server.counts("simpleFlag")
    assert (counts.yes, counts.no) == (1, 1)


def test_every_count_arrives_at_the_end(start, flag_server):
    """Nothing is sent before SIGTERM; then all is, and the signal ends the worker."""
    instance = start("flagged.py:hello", flag_server.environ)
    paths = ["/api/hello", "/api/hello_async"] * 10
    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(instance.request, paths))
    sent_before = flag_server.counts("simpleFlag").total

    end = instance.terminate()

    assert {"True"} == {answer.body for answer in answers}
    assert sent_before == 0
    assert len(paths) == flag_server.counts("simpleFlag").yes
    assert (end.code, end.killed) == (-15, False)


def test_the_session_knows_where_it_is(start, flag_server):
    """The adapter is elected, and SIGTERM is connected while the app is imported."""
    instance = start("flagged.py:status", flag_server.environ)

    expected = {"platform": "azure_functions", "state": "ready", "end": "connected"}
    assert expected == instance.request().json()


def test_counts_carry_the_apps_name(start, flag_server):
    """``WEBSITE_SITE_NAME`` is the default of ``app_name``."""
    environ = {**flag_server.environ, "WEBSITE_SITE_NAME": "shop"}
    instance = start("flagged.py:hello", environ)
    instance.request()
    instance.terminate()

    assert flag_server.counts("simpleFlag", app_name="shop").total == 1


def test_a_signal_for_another_thread_is_heard(start, flag_server):
    """SIGTERM ends the worker although its event loop sleeps and is not interrupted."""
    instance = start("flagged.py:interrupt", flag_server.environ)

    with pytest.raises(EmulatorError, match="does not answer"):
        instance.request()

    assert instance.process.wait(10) == -signal.SIGTERM
    assert "SIGTERM was not heard" not in instance.output
    assert flag_server.counts("simpleFlag").total == 1


def test_a_handler_of_the_application_has_its_turn(start, flag_server):
    """It is called after the flush and decides how the worker ends."""
    instance = start("handled.py:hello", flag_server.environ)
    instance.request()

    end = instance.terminate()

    assert end.code == 1
    assert flag_server.counts("simpleFlag").total == 1
    assert "the handler's turn" in instance.output


def test_without_a_signal_each_invocation_flushes(start, flag_server):
    """Imported off the main thread, a session loses nothing to a kill."""
    instance = start("off_main_thread.py:hello", flag_server.environ)
    status = instance.request("/api/status").json()

    instance.request()
    instance.kill()

    assert status["end"].startswith("not connected")
    assert flag_server.counts("simpleFlag").total == 1


def test_a_coroutine_on_the_main_thread_connects_late(start, flag_server):
    """What the import could not connect, the first invocation on the loop can."""
    instance = start("off_main_thread.py:hello_async", flag_server.environ)
    instance.request()
    status = instance.request("/api/status").json()
    instance.terminate()

    assert status["end"] == "connected"
    assert flag_server.counts("simpleFlag").total == 1


def test_a_start_does_not_block_the_loop(start):
    """While one coroutine waits for a slow flag server, another one answers."""
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        slow.settimeout(10)
        environ = {
            "UNLEASH_URL": f"http://127.0.0.1:{slow.getsockname()[1]}/api",
            "UNLEASH_API_TOKEN": "token",
            "SERVERLESS_FLAGS_START_TIMEOUT": "20",
            "SERVERLESS_FLAGS_REQUEST_TIMEOUT": "20",
        }
        instance = start("flagged.py:hello_async", environ)
        callers = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
        waiting = callers.submit(instance.request)
        connection, _ = slow.accept()  # the start has begun and waits

        answer = instance.request("/api/unwrapped")

        assert answer.body == "here"
        assert not waiting.done()
        connection.close()
        slow.close()
        assert waiting.result(10).body == "False"


def test_without_a_url_flags_take_their_defaults(start):
    """The function answers, and one warning tells what to set."""
    instance = start("flagged.py:hello")

    answers = [instance.request().body for _ in range(3)]
    end = instance.terminate()

    assert answers == ["False"] * 3
    assert instance.output.count("UNLEASH_URL") == 1
    assert end.code == -15


@pytest.mark.parametrize(
    ("authenticated", "expected"),
    [
        ("True", ["byAddress", "byUser", "byPath", "byMethod"]),
        ("False", ["byAddress", "byPath", "byMethod"]),
    ],
)
def test_flags_know_who_asks(start, authenticated, expected):
    """The principal counts only where App Service has checked it."""
    with FlagServer(CONTEXT_FLAGS) as server:
        environ = {**server.environ, "WEBSITE_AUTH_ENABLED": authenticated}
        instance = start("flagged.py:context", environ)

        answer = instance.request(headers={"X-MS-CLIENT-PRINCIPAL-ID": "alice"})

    assert expected == answer.json()
