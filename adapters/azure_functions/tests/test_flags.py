"""Flags in a function app: what invocations see, and what the server counts."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import pytest

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
def test_the_example_sees_a_changed_flag_at_once(flag_server, function):
    """With maximum ages of 0 the next invocation sees a changed flag."""
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
    """At SIGTERM all counts are sent, and then the signal ends the worker."""
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


@pytest.mark.parametrize("placeholder", ["false", "true"])
def test_settings_are_read_when_the_app_is_imported(start, flag_server, placeholder):
    """A placeholder, too, reads its settings when its app is imported."""
    environ = {**flag_server.environ, "WEBSITE_SITE_NAME": "shop"}
    instance = start("flagged.py:hello", environ, placeholder=placeholder)
    status = instance.request("/api/status").json()
    answer = instance.request().body
    instance.terminate()

    expected = {"platform": "azure_functions", "state": "ready", "end": "connected"}
    assert (expected, "True") == (status, answer)
    assert flag_server.counts("simpleFlag", app_name="shop").total == 1


def test_without_a_url_flags_take_their_defaults(start):
    """Without a url flags take their defaults, and one warning names the variable."""
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
def test_flags_see_the_user_and_the_request(start, authenticated, expected):
    """The user is known only if App Service authenticates."""
    with FlagServer(CONTEXT_FLAGS) as server:
        environ = {**server.environ, "WEBSITE_AUTH_ENABLED": authenticated}
        instance = start("flagged.py:context", environ)

        answer = instance.request(headers={"X-MS-CLIENT-PRINCIPAL-ID": "alice"})

    assert expected == answer.json()
