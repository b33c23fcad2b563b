"""An exception raised at each line of this package on the user's thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import contextvars, json, linecache, os, sys, threading, time
from serverless_flags import FlagSession
import serverless_flags

WHERE, WHAT, CLIENT = sys.argv[1:]
OURS = os.path.dirname(serverless_flags.__file__)
MAIN = threading.get_ident()
armed = {"at": None, "line": 0, "place": ""}

def tracer(frame, event, argument):
    name, code = frame.f_code.co_filename, frame.f_code.co_name
    if not name.startswith(OURS) or code == "__del__":
        return None
    def line(frame, event, argument):
        if event != "line" or armed["at"] is None or threading.get_ident() != MAIN:
            return line
        # Tracing would raise there where the interpreter delivers nothing.
        if linecache.getline(name, frame.f_lineno).lstrip().startswith("with "):
            return line
        armed["line"] += 1
        if armed["line"] == armed["at"]:
            armed["at"], armed["place"] = None, f"{os.path.basename(name)}:{code}"
            raise (KeyboardInterrupt if WHAT == "base" else TimeoutError)
        return line
    return line

def arm(line):
    armed.update(at=line, line=0, place="")
    sys.settrace(tracer)

def life(line):
    "Interrupt one life at that line; return who is left, and what is accounted for."
    flags = FlagSession(client=CLIENT, flush_interval=0, max_age=3600, platform="local",
                        request_timeout=10, flush_timeout=10, start_timeout=10)
    if WHERE != "start":
        flags.start()
    try:
        if WHERE == "start":
            arm(line)
            flags.start()
        elif WHERE == "enter":
            arm(line)
            with flags.invocation(context={"userId": "7"}):
                sys.settrace(None)
        elif WHERE == "leave":
            with flags.invocation(context={"userId": "7"}):
                for _ in range(5):
                    flags.is_enabled("simpleFlag")
                arm(line)
        else:
            for _ in range(5):
                flags.is_enabled("simpleFlag")
            arm(line)
            getattr(flags, WHERE)(10.0)
    except (KeyboardInterrupt, TimeoutError):
        pass
    finally:
        sys.settrace(None)
    left = flags._core.scope.get() is not None and WHERE != "leave"
    if WHERE in {"start", "enter"}:
        end = time.monotonic() + 10
        on = False
        while not on and time.monotonic() < end:  # a start goes on in the background
            with flags.invocation():
                on = flags.is_enabled("simpleFlag")
    else:
        on = True
    flags.close(10.0)
    end = time.monotonic() + 10
    while flags._core.process.server_sync.flusher._in_flight and time.monotonic() < end:
        time.sleep(0.005)  # until its answer comes, it is unknown
    status = flags.status
    return left, on, flags, status.uncounted + status.unknown_counts

found, line = [], 0
while True:
    line += 1
    left, on, flags, lost = contextvars.copy_context().run(life, line)
    if not armed["place"]:
        break
    found.append([armed["place"], left, on, lost])
print(json.dumps(found), flush=True)
os._exit(0)
"""


@pytest.fixture(name="lives")
def _lives(server, tmp_path):
    """Return a function that interrupts a session's life at each line, in turn."""

    def lives(where, what, client):
        program = tmp_path / "life.py"
        program.write_text(textwrap.dedent(PROGRAM))
        environ = {"UNLEASH_URL": server.url, "UNLEASH_API_TOKEN": "a"}
        done = subprocess.run(
            [sys.executable, str(program), where, what, client],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert 0 == done.returncode, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return lives


@pytest.mark.parametrize("what", ["base", "error"])
@pytest.mark.parametrize("where", ["start", "enter"])
def test_an_interrupted_beginning_leaves_nothing(lives, where, what) -> None:
    """No invocation stays open, and the session still starts."""
    found = lives(where, what, "lean")
    wrong = [place for place, left, on, _ in found if left or not on]

    assert len(found) > 20
    assert [] == wrong


@pytest.mark.parametrize("client", ["lean", "unleash"])
@pytest.mark.parametrize("where", ["leave", "flush", "terminate", "close"])
def test_no_evaluation_is_lost_silently(lives, server, where, client) -> None:
    """After the close each is on the server, uncounted or unknown."""
    found = lives(where, "base", client)
    evaluated = 5 * (len(found) + 1)

    assert len(found) > 10
    assert evaluated == server.counted() + sum(lost for *_, lost in found)
