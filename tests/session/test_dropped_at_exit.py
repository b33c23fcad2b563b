"""A session that is dropped just before the process ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

import pytest

LOSSES = re.compile(r"(\d+) evaluations were not counted, (\d+) were sent")


@pytest.mark.parametrize("client", ["lean", "unleash"])
def test_the_end_of_the_process_waits_for_the_flush(server, client) -> None:
    """The interpreter's exit does not cut off a last flush under way."""
    code = f"""
    from serverless_flags import FlagSession
    def main():
        flags = FlagSession(client={client!r})
        assert flags.is_enabled("simpleFlag")
    main()
    """
    environ = {"UNLEASH_URL": server.url, "UNLEASH_API_TOKEN": "a"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    named = sum(int(a) + int(b) for a, b in LOSSES.findall(done.stderr))

    assert 0 == done.returncode
    assert 1 == server.counted() + named
