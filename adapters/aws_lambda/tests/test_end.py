"""Shutdown under the real awslambdaric: every evaluation is counted."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from serverless_flags.testing import Counts
from serverless_flags.testing.faults import Fault

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""


def test_flush_at_the_end(run, flag_server, polling):
    """At SIGTERM every evaluation is sent within the grace period."""
    with run(polling=polling) as instance:
        for _ in range(5):
            instance.invoke()
        before = flag_server.counts("simpleFlag")
        ended = instance.terminate()

        assert before == Counts()
        assert (ended.code, ended.killed) == (0, False)
        assert flag_server.wait_for_counts("simpleFlag", 5, WAIT) == Counts(yes=5)
        assert instance.output == ""


def test_end_before_the_first_invocation(run, flag_server):
    """An instance that was never invoked sends no counts."""
    with run() as instance:
        ended = instance.terminate()

        assert (ended.code, ended.killed) == (0, False)
        assert [each.path for each in flag_server.requests] == ["/api/client/features"]


@pytest.mark.parametrize("order", ["before", "after"])
def test_handler_of_the_user(run, flag_server, polling, order):
    """Your own SIGTERM handler still runs, and no count is lost."""
    install = """
    def notify(signum, frame):
        os.write(1, b"notified\\n")

    signal.signal(signal.SIGTERM, notify)
    """
    wrap = """
    @flags.wrap
    def handler(event, context):
        return flags.is_enabled("simpleFlag")
    """
    parts = [install, wrap] if order == "before" else [wrap, install]
    with run("".join(map(dedent, parts)), polling=polling, grace="0.3") as instance:
        instance.invoke()
        instance.terminate()

        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)
        if polling == "true":  # else no Python handler runs while the instance is idle
            assert instance.output == "notified\n"


LOOP_TAKES_SIGTERM = """
import asyncio

async def answer(takes):
    if takes:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)
    return [flags.is_enabled("simpleFlag"), flags.status.flush_interval]

@flags.wrap
def handler(event, context):
    return asyncio.run(answer(event["takes"]))
"""


def test_a_loop_that_handled_sigterm(run, flag_server, polling):
    """An event loop that resets SIGTERM is undone at the end of the invocation."""
    with run(LOOP_TAKES_SIGTERM, polling=polling) as instance:
        answers = [instance.invoke({"takes": takes}).json() for takes in (True, False)]
        ended = instance.terminate()

        assert answers == [[True, 60.0]] * 2
        assert (ended.code, ended.killed) == (0, False)
        assert flag_server.wait_for_counts("simpleFlag", 2, WAIT) == Counts(yes=2)


LEAVE = """
def leave(signum, frame):
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
"""

WAIT_IN_HANDLER = """
@flags.wrap
def handler(event, context):
    flags.is_enabled("simpleFlag")
    while event:
        time.sleep(0.01)
"""


@pytest.mark.parametrize("event", [None, "wait"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_handler_that_exits(run, flag_server, polling, order, event):
    """A handler that calls ``sys.exit``, as in AWS's examples, loses no count."""
    parts = [LEAVE, WAIT_IN_HANDLER] if order == "before" else [WAIT_IN_HANDLER, LEAVE]
    with run("import sys\n" + "".join(parts), polling=polling, grace="0.3") as instance:
        instance.invoke(event, timeout=0.3)
        instance.terminate()

        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


DISPLACE = {
    "a loop's handler": """
    loop = asyncio.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.close()
    """,
    "asyncio.run": """
    async def main():
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)

    asyncio.run(main())
    """,
}
"""Code that replaces the wakeup fd and does not restore it."""


@pytest.mark.parametrize("moment", ["import", "invocation"])
@pytest.mark.parametrize("how", DISPLACE)
def test_displaced_wakeup_fd(run, flag_server, polling, moment, how):
    """Your own event loop may replace the wakeup fd, in Init or later."""
    displace = "def displace():\n" + indent(dedent(DISPLACE[how]), "    ")
    use = f"""
    @flags.wrap
    def handler(event, context):
        if "{moment}" == "invocation":
            displace()
        return flags.is_enabled("simpleFlag")

    if "{moment}" == "import":
        displace()
    """
    with run(displace + dedent(use), polling=polling) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


def test_wakeup_fd_displaced_permanently(run, flag_server, polling):
    """The loop of async handlers, which stays open, may replace the wakeup fd too."""
    source = """
    @flags.wrap
    async def handler(event, context):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
        flags.is_enabled("simpleFlag")
        await asyncio.sleep(30 if event else 0)
    """
    with run(source, polling=polling) as instance:
        instance.invoke()
        instance.invoke("wait", timeout=0.3)  # SIGTERM while the loop has it
        first = flag_server.wait_for_counts("simpleFlag", 2, WAIT)
        instance.invoke()
        ended = instance.terminate()

        assert first == Counts(yes=2)
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 3, WAIT) == Counts(yes=3)


# -- SIGTERM during other work ---------------------------------------------------------


@pytest.mark.parametrize("settings", [{"MAX_AGE": "0"}, {"FLUSH_INTERVAL": "0"}])
def test_end_during_a_request(run, faulty_server, polling, settings):
    """A refresh or a flush that hangs does not prevent the last flush."""
    environ = {f"SERVERLESS_FLAGS_{name}": value for name, value in settings.items()}
    with run(settings=environ, server=faulty_server, polling=polling) as instance:
        faulty_server.fault = Fault.UNHEARD
        instance.invoke()
        assert faulty_server.wait_for_held(1, WAIT)
        faulty_server.fault = Fault.NONE
        instance.invoke()
        ended = instance.terminate()

        # The server may or may not have counted a flush that got no response.
        unknown = 1 if "FLUSH_INTERVAL" in settings else 0
        assert not ended.killed
        assert faulty_server.counts("simpleFlag") == Counts(yes=2 - unknown)


def test_end_with_a_slow_server(run, faulty_server, polling, monkeypatch):
    """A flush of 0.2 s fits into the 0.3 s that an external extension leaves."""
    # Writing down its coverage takes the process longer than the 0.1 s that are left.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
    options = {"server": faulty_server, "polling": polling, "grace": "0.3"}
    with run(**options) as instance:
        instance.invoke()
        faulty_server.delay, faulty_server.fault = 0.2, Fault.SLOW
        ended = instance.terminate()

        assert (ended.killed, ended.code) == (False, 0)
        assert faulty_server.counts("simpleFlag") == Counts(yes=1)


def test_function_timeout(run, flag_server, polling):
    """The counts of an invocation that timed out are sent."""
    with run(WAIT_IN_HANDLER, polling=polling) as instance:
        instance.invoke()
        late = instance.invoke("wait", timeout=0.3)

        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert flag_server.wait_for_counts("simpleFlag", 2, WAIT) == Counts(yes=2)


def test_two_sessions(run, flag_server, polling):
    """Two sessions of one process share one extension, and both are flushed."""
    source = """
    others = FlagSession(app_name="others")

    @flags.wrap
    @others.wrap
    def handler(event, context):
        return [flags.is_enabled("simpleFlag"), others.is_enabled("simpleFlag")]
    """
    with run(source, polling=polling) as instance:
        extensions = len(instance.state.extensions)
        answer = instance.invoke().json()
        instance.terminate()
        counts = [
            flag_server.wait_for_counts("simpleFlag", 1, WAIT, app_name=app_name)
            for app_name in ("function", "others")
        ]

        assert answer == [True, True]
        assert extensions == 1
        assert counts == [Counts(yes=1)] * 2
