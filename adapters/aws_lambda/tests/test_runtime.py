"""Flags in functions under the real awslambdaric, from Init to the last response."""

from __future__ import annotations

import socket
import time

from serverless_flags.testing import Counts, FlagServer, emulate

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""

STALE_AT_ONCE = {
    "SERVERLESS_FLAGS_MAX_AGE": "0",
    "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
}


def test_flip(run, flag_server):
    """With maximum ages of 0 the next invocation sees a changed flag."""
    with run(settings=STALE_AT_ONCE) as instance:
        before = instance.invoke()
        flag_server.set("simpleFlag", False)
        after = instance.invoke()

        assert (before.json(), after.json()) == (True, False)


def test_starts_while_the_module_is_imported(run, flag_server):
    """Init fetches the flags once; invocations soon after fetch nothing."""
    with run() as instance:
        after_init = [(each.method, each.path) for each in flag_server.requests]
        answers = [instance.invoke().json() for _ in range(3)]

        assert after_init == [("GET", "/api/client/features")]
        assert answers == [True] * 3
        assert len(flag_server.requests) == 1


def test_flip_during_a_freeze(run, flag_server):
    """After a freeze longer than the maximum age, the first invocation is current."""
    settings = {**STALE_AT_ONCE, "SERVERLESS_FLAGS_MAX_AGE": "0.2"}
    with run(settings=settings) as instance:
        instance.invoke()
        instance.state.wait(lambda: instance.state.idle, WAIT)
        instance.freeze()
        flag_server.set("simpleFlag", False)
        time.sleep(0.25)  # the instance has its own clock, and it is frozen

        assert instance.invoke().json() is False


def test_context_of_the_request(write_function):
    """A strategy sees the address in the event of the Function URL."""
    strategies = [{"name": "remoteAddress", "parameters": {"IPs": "127.0.0.1"}}]
    feature = {"name": "simpleFlag", "enabled": True, "strategies": strategies}
    source = """
    from serverless_flags import FlagSession

    flags = FlagSession()

    @flags.wrap
    def handler(event, context):
        return flags.is_enabled("simpleFlag")
    """
    with FlagServer({"version": 2, "features": [feature]}) as server:
        target = write_function(source)
        with emulate("aws_lambda", target, environ=server.environ) as instance:
            assert instance.request("/").json() is True
            assert instance.invoke({}).json() is False


def test_status(run):
    """The status has the platform and the signal, which one thread waits for."""
    source = """
    @flags.wrap
    def handler(event, context):
        status = flags.status
        threads = sorted(thread.name for thread in threading.enumerate())
        return [status.platform, status.termination, status.flush_interval, threads]
    """
    with run(source, polling="false") as instance:
        platform, termination, flush_interval, threads = instance.invoke().json()

        assert (platform, termination, flush_interval) == (
            "aws_lambda",
            "connected",
            60,
        )
        assert threads == ["MainThread", "serverless-flags-sigterm"]


def test_result_and_exception(run):
    """The wrapper passes results and exceptions on unchanged."""
    source = """
    @flags.wrap
    def handler(event, context):
        flags.is_enabled("simpleFlag")
        if event == "raise":
            raise LookupError("no such thing")
        return {"event": event, "request": context.aws_request_id}
    """
    with run(source) as instance:
        result, error = instance.invoke([1, None]), instance.invoke("raise")

        assert result.json()["event"] == [1, None]
        assert len(result.json()["request"]) == 36
        assert error.status == 500
        assert error.json()["errorType"] == "LookupError"
        assert error.json()["errorMessage"] == "no such thing"


def test_async_handler(run, flag_server, polling):
    """Handlers with ``async def`` share a loop; SIGTERM is still handled after them."""
    source = """
    loops = set()

    @flags.wrap
    async def handler(event, context):
        loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return [flags.is_enabled("simpleFlag"), len(loops)]
    """
    with run(source, polling=polling) as instance:
        answers = [instance.invoke().json() for _ in range(3)]
        ended = instance.terminate()

        assert answers == [[True, 1]] * 3
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 3, WAIT) == Counts(yes=3)


# -- failures ------------------------------------------------------------------------


def test_no_url(run):
    """Without a url the function runs with default flags and one warning."""
    with run(settings={"UNLEASH_URL": "", "UNLEASH_API_TOKEN": ""}) as instance:
        answers = [instance.invoke().json() for _ in range(2)]
        ended = instance.terminate()

        assert answers == [False] * 2
        assert not ended.killed
        assert instance.output.count("UNLEASH_URL") == 1


def test_refused_connection(run, flag_server):
    """If the flag server is down, flags take their defaults."""
    flag_server.stop()
    with run() as instance:
        answers = [instance.invoke().json() for _ in range(2)]
        ended = instance.terminate()

        assert answers == [False] * 2
        assert not ended.killed


def test_silent_server(run):
    """A flag server that never answers delays neither Init nor shutdown for long."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "UNLEASH_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/api",
            "SERVERLESS_FLAGS_START_TIMEOUT": "0.3",
        }
        with run(settings=settings) as instance:
            answer = instance.invoke()
            ended = instance.terminate()

            assert answer.json() is False
            assert not ended.killed
