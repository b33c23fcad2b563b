"""The lean client where UnleashClient is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from serverless_flags.testing import FlagServer

THEIRS = (
    "UnleashClient",
    "apscheduler",
    "fcache",
    "importlib_metadata",
    "ld_eventsource",
    "mmh3",
    "requests",
    "urllib3",
)
"""What comes with UnleashClient; the engine comes with us."""

FUNCTION = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in THEIRS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from serverless_flags import FlagSession

flags = FlagSession(platform="local", start_timeout=20, request_timeout=20)

@flags.wrap
def handler(event, context):
    return flags.is_enabled("simpleFlag"), flags.get_variant("unknown")["name"]

flags.start()
started = flags.status.source, sorted(sys.modules)
answer = handler({}, None)
closed = flags.close(20)
print(json.dumps([*started, answer, closed, sorted(sys.modules)]))
"""


@pytest.fixture(name="run")
def _run():
    """Return a function that runs code in an interpreter without UnleashClient."""

    def run(environ):
        bare = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COV", "UNLEASH_", "SERVERLESS_FLAGS_"))
        }
        program = f"THEIRS = {THEIRS}\n{FUNCTION}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            env={**bare, **environ},
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout), done.stderr

    return run


def test_it_evaluates_and_counts(run) -> None:
    """With requests to the server, and nothing imported from UnleashClient."""
    chosen = {"SERVERLESS_FLAGS_CLIENT": "lean"}
    with FlagServer({"simpleFlag": True}) as server:
        (source, _, answer, closed, modules), log = run({**server.environ, **chosen})

        assert ("server", [True, "disabled"], True) == (source, answer, closed)
        assert 1 == server.wait_for_counts("simpleFlag", 1, timeout=20).yes
    assert ["the flag 'unknown' is unknown"] == [
        line.partition(":")[0] for line in log.splitlines()
    ]
    assert not {*THEIRS, "asyncio", "importlib.metadata"} & {*modules}
    assert "yggdrasil_engine.custom_strategy" in modules
    assert "yggdrasil_engine.engine" not in modules


def test_a_snapshot_needs_no_network(run, state_of, tmp_path) -> None:
    """Modules for requests are loaded with the first request."""
    snapshot = tmp_path / "flags.json"
    snapshot.write_text(state_of("simpleFlag"), encoding="utf-8")
    chosen = {
        "SERVERLESS_FLAGS_CLIENT": "lean",
        "SERVERLESS_FLAGS_SNAPSHOT": str(snapshot),
    }
    with FlagServer({"simpleFlag": True}) as server:
        (source, early, answer, closed, late), _ = run({**server.environ, **chosen})

        assert ("snapshot", [True, "disabled"], True) == (source, answer, closed)
        assert 1 == server.wait_for_counts("simpleFlag", 1, timeout=20).yes
    network = {"http.client", "ssl", "email"}
    slow = {"asyncio", "datetime", "importlib.metadata"}
    assert not {*THEIRS, *network, *slow} & {*early}
    assert network <= {*late}


def test_the_client_unleash_says_what_is_missing(run) -> None:
    """The function runs with defaults, and the log names the module."""
    with FlagServer({"simpleFlag": True}) as server:
        (source, _, answer, *_), log = run(server.environ)

    assert ("none", [False, "disabled"]) == (source, answer)
    assert "No module named 'UnleashClient'" in log
