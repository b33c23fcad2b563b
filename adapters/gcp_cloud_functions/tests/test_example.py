"""The example works as its README describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from serverless_flags.testing import Counts, emulate

EXAMPLE = Path(__file__).parents[3] / "examples" / "gcp_cloud_functions" / "main.py"
ENABLED = "Feature flag 'simpleFlag' is enabled"
DISABLED = "Feature flag 'simpleFlag' is disabled"


@pytest.fixture(name="run")
def _run(server):
    """Run a function of the example; each invocation sees the current flags."""
    environ = {
        **server.environ,
        "SERVERLESS_FLAGS_MAX_AGE": "0",
        "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
        "SERVERLESS_FLAGS_START_TIMEOUT": "20",
        "SERVERLESS_FLAGS_REFRESH_TIMEOUT": "20",
    }
    return lambda name: emulate(
        "gcp_cloud_functions", f"{EXAMPLE}:{name}", environ=environ
    )


@pytest.mark.parametrize(
    ("function", "runtime"), [("hello", "gthread"), ("hello_async", "uvicorn")]
)
def test_the_http_functions_answer(run, server, function, runtime):
    """The sync and the async function answer, each under its server."""
    with run(function) as instance:
        before = instance.request("/").json()
        server.set("simpleFlag", False)
        after = instance.request("/").json()
        instance.terminate()

        assert runtime in instance.runtime
    assert [before, after] == [{"message": ENABLED}, {"message": DISABLED}]
    assert server.counts("simpleFlag") == Counts(yes=1, no=1)


def test_the_event_function_logs(run, server):
    """The event function logs the state of the flag."""
    with run("hello_event") as instance:
        answer = instance.cloud_event({"a": 1}, type="com.example.made")
        instance.terminate()

        assert answer.status == 200
        assert f"com.example.made {ENABLED}" in instance.output
    assert server.counts("simpleFlag") == Counts(yes=1)
