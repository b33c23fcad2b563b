"""The end of an instance under the real awslambdaric: no count is lost."""

from __future__ import annotations

from textwrap import dedent

import pytest

from serverless_flags.testing import Counts

WAIT = 10.0
"""Seconds; a bound against hanging only."""


def test_flush_at_the_end(run, flag_server, polling):
    """At SIGTERM every evaluation is counted, inside the grace."""
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
    """An instance that was never invoked has nothing to send."""
    with run() as instance:
        ended = instance.terminate()

        assert (ended.code, ended.killed) == (0, False)
        assert [each.path for each in flag_server.requests] == ["/api/client/features"]


@pytest.mark.parametrize("order", ["before", "after"])
def test_handler_of_the_user(run, flag_server, polling, order):
    """A SIGTERM handler of the user's keeps its say, and costs no count."""
    install = """
    def tell(signum, frame):
        os.write(1, b"told\\n")

    signal.signal(signal.SIGTERM, tell)
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
            assert instance.output == "told\n"


@pytest.mark.parametrize("moment", ["import", "invocation"])
def test_displaced_wakeup_fd(run, flag_server, polling, moment):
    """An event loop of the user's may take the wakeup fd, in Init or later."""
    source = f"""
    def displace():
        loop = asyncio.new_event_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.close()

    @flags.wrap
    def handler(event, context):
        if "{moment}" == "invocation":
            displace()
        return flags.is_enabled("simpleFlag")

    if "{moment}" == "import":
        displace()
    """
    with run(source, polling=polling) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


def test_function_timeout(run, flag_server, polling):
    """What was counted by an invocation that timed out is flushed."""
    source = """
    @flags.wrap
    def handler(event, context):
        flags.is_enabled("simpleFlag")
        while event:
            time.sleep(0.01)
    """
    with run(source, polling=polling) as instance:
        instance.invoke()
        late = instance.invoke("wait", timeout=0.3)

        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert flag_server.wait_for_counts("simpleFlag", 2, WAIT) == Counts(yes=2)


def test_two_sessions(run, flag_server, polling):
    """Two sessions of one process are one extension, and both are flushed."""
    source = """
    others = FlagSession(app_name="others")

    @flags.wrap
    @others.wrap
    def handler(event, context):
        return [flags.is_enabled("simpleFlag"), others.is_enabled("simpleFlag")]
    """
    with run(source, polling=polling) as instance:
        extensions = len(instance.lifecycle.extensions)
        answer = instance.invoke().json()
        instance.terminate()
        counts = [
            flag_server.wait_for_counts("simpleFlag", 1, WAIT, app_name=app_name)
            for app_name in ("function", "others")
        ]

        assert answer == [True, True]
        assert extensions == 1
        assert counts == [Counts(yes=1)] * 2


# -- where the end cannot be heard -----------------------------------------------------


def test_wrapped_too_late(run, flag_server):
    """Where no extension can be registered any more, each invocation flushes."""
    source = """
    def answer(event, context):
        return [flags.is_enabled("simpleFlag"), flags.status.termination]

    def handler(event, context):
        return flags.wrap(answer)(event, context)
    """
    with run(source) as instance:
        enabled, termination = instance.invoke().json()

        assert enabled is True
        assert termination != "connected"
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


def test_wrapped_off_the_main_thread(run, flag_server):
    """Where Python lets nobody connect a signal, each invocation flushes."""
    source = """
    def answer(event, context):
        return flags.is_enabled("simpleFlag")

    def wrap():
        global handler
        handler = flags.wrap(answer)

    thread = threading.Thread(target=wrap)
    thread.start()
    thread.join()
    """
    with run(source) as instance:
        assert instance.invoke().json() is True
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)
        assert not instance.lifecycle.extensions
