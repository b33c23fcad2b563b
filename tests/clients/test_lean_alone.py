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

answer = handler({}, None)
closed = flags.close(20)
print(json.dumps([answer, flags.status.source, closed, sorted(sys.modules)]))
"""


@pytest.fixture(name="run")
def _run():
    """Return what runs the function in a fresh interpreter without UnleashClient."""

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


def test_it_reads_and_counts(run) -> None:
    """From the server and to it, with nothing of UnleashClient's imported."""
    with FlagServer({"simpleFlag": True}) as server:
        chosen = {"SERVERLESS_FLAGS_CLIENT": "lean"}
        (answer, source, closed, modules), log = run({**server.environ, **chosen})

        assert ([True, "disabled"], "server", True) == (answer, source, closed)
        assert 1 == server.wait_for_counts("simpleFlag", 1, timeout=20).yes
    assert "" == log
    assert not {*THEIRS, "asyncio", "importlib.metadata"} & {*modules}
    assert "yggdrasil_engine.engine" in modules


def test_it_starts_from_a_snapshot_without_the_network(run, state_of, tmp_path) -> None:
    """TLS is not even loaded before the first refresh."""
    snapshot = tmp_path / "flags.json"
    snapshot.write_text(state_of("simpleFlag"), encoding="utf-8")
    chosen = {
        "SERVERLESS_FLAGS_CLIENT": "lean",
        "SERVERLESS_FLAGS_SNAPSHOT": str(snapshot),
    }
    (answer, source, closed, modules), _ = run(chosen)

    assert ([True, "disabled"], "snapshot", True) == (answer, source, closed)
    assert not {*THEIRS, "ssl", "asyncio", "importlib.metadata"} & {*modules}


def test_the_client_unleash_says_what_is_missing(run) -> None:
    """The function goes on with its defaults, and the log names the module."""
    with FlagServer({"simpleFlag": True}) as server:
        (answer, source, *_), log = run(server.environ)

    assert ([False, "disabled"], "none") == (answer, source)
    assert "No module named 'UnleashClient'" in log
