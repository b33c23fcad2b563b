"""A program that makes a session in each call."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

SECOND = "a second FlagSession with the same settings"


def _run(server, code: str, then) -> tuple[int, str]:
    """Run a program in development mode; call ``then`` before its input ends."""
    program = "import gc, sys\nfrom serverless_flags import FlagSession\n"
    environ = {"UNLEASH_URL": server.url, "UNLEASH_API_TOKEN": "a"}
    child = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", program + textwrap.dedent(code)],
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    then()
    _, said = child.communicate("", timeout=60)
    return child.returncode, said


@pytest.mark.parametrize("client", ["lean", "unleash"])
@pytest.mark.parametrize("cycle", [False, True])
def test_a_session_for_each_call(server, until, client, cycle) -> None:
    """A session per call crashes nothing; each count is sent or logged; one warning."""
    code, said = _run(
        server,
        f"""
        def handler():
            flags = FlagSession(client={client!r}, request_timeout=20)
            flags.itself = flags if {cycle} else None
            with flags.invocation():
                return flags.is_enabled("simpleFlag")

        answers = [(handler(), gc.collect())[0] for _ in range(10)]
        assert answers == [True] * 10, answers
        sys.stdin.read()
        """,
        lambda: until(lambda: server.counted() == 10),
    )

    assert 0 == code, said
    assert "Traceback" not in said
    assert 1 == said.count(SECOND)
    assert 10 == server.counted()
