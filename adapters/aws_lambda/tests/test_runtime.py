"""Flags in functions under the real awslambdaric, from Init to the last flush."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags.testing import Counts, FlagServer, emulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags_aws_lambda._emulator import LambdaEmulator

    WriteFunction = Callable[[str], str]
    Run = Callable[..., LambdaEmulator]

WAIT = 10.0
"""Seconds; a bound against hanging only."""

FUNCTION = """
import asyncio, os, signal, threading, time
from serverless_flags import FlagSession
flags = FlagSession()
"""

WRAPPED = """
@flags.wrap
def handler(event, context):
    return flags.is_enabled("simpleFlag")
"""

polling = pytest.mark.parametrize("polling", ["true", "false"])


@pytest.fixture(name="run")
def _run(write_function: WriteFunction, flag_server: FlagServer) -> Run:
    """Return what makes an instance of a source that knows the flag server."""

    def run(source: str, *, settings: Any = (), **options: str) -> LambdaEmulator:
        environ = {**flag_server.environ, **dict(settings)}
        return emulate("aws_lambda", write_function(source), environ=environ, **options)

    return run


def count_requests(server: FlagServer, path: str) -> int:
    """Return how many requests for ``path`` the server has answered."""
    return sum(request.path == path for request in server.requests)


# -- flags -------------------------------------------------------------------------


def test_flip(run: Run, flag_server: FlagServer) -> None:
    """With ages of 0 the next invocation obeys a flip."""
    ages = {
        "SERVERLESS_FLAGS_MAX_AGE": "0",
        "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
    }
    with run(FUNCTION + WRAPPED, settings=ages) as instance:
        before = instance.invoke()
        flag_server.set("simpleFlag", False)  # noqa: FBT003  reason: its signature
        after = instance.invoke()

        assert (before.json(), after.json()) == (True, False)


def test_starts_while_the_module_is_imported(run: Run, flag_server: FlagServer) -> None:
    """Init asks for the flags once; an invocation soon after asks for nothing."""
    with run(FUNCTION + WRAPPED) as instance:
        after_init = [(each.method, each.path) for each in flag_server.requests]
        answers = [instance.invoke().json() for _ in range(3)]

        assert after_init == [("GET", "/api/client/features")]
        assert answers == [True] * 3
        assert len(flag_server.requests) == 1


def test_flip_during_a_freeze(run: Run, flag_server: FlagServer) -> None:
    """After a freeze longer than the flags may be old, the first answer is right."""
    ages = {
        "SERVERLESS_FLAGS_MAX_AGE": "0.2",
        "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
    }
    with run(FUNCTION + WRAPPED, settings=ages) as instance:
        instance.invoke()
        instance.lifecycle.wait(lambda: instance.lifecycle.idle, WAIT)
        instance.freeze()
        flag_server.set("simpleFlag", False)  # noqa: FBT003  reason: its signature
        time.sleep(0.25)  # the instance has its own clock, and it is frozen

        assert instance.invoke().json() is False


def test_context_of_the_request(write_function: WriteFunction) -> None:
    """A strategy sees the address and the path that the Function URL tells."""
    strategies = [{"name": "remoteAddress", "parameters": {"IPs": "127.0.0.1"}}]
    feature = {"name": "simpleFlag", "enabled": True, "strategies": strategies}
    with FlagServer({"version": 2, "features": [feature]}) as server:
        target = write_function(FUNCTION + WRAPPED)
        with emulate("aws_lambda", target, environ=server.environ) as instance:
            assert instance.request("/").json() is True
            assert instance.invoke({}).json() is False


def test_status(run: Run) -> None:
    """The session knows its platform, the function's name, that the end is heard."""
    source = """
@flags.wrap
def handler(event, context):
    status = flags.status
    threads = sorted(thread.name for thread in threading.enumerate())
    return [status.platform, status.termination, status.flush_interval, threads]
"""
    with run(FUNCTION + source, polling="false") as instance:
        platform, termination, flush_interval, threads = instance.invoke().json()

        assert (platform, termination, flush_interval) == (
            "aws_lambda",
            "connected",
            60,
        )
        assert threads == ["MainThread", "serverless-flags-sigterm"]


# -- the user's function -------------------------------------------------------------


def test_result_and_exception(run: Run) -> None:
    """What the function returns or raises reaches the caller as without a wrapper."""
    source = """
@flags.wrap
def handler(event, context):
    flags.is_enabled("simpleFlag")
    if event == "raise":
        raise LookupError("no such thing")
    return {"event": event, "request": context.aws_request_id}
"""
    with run(FUNCTION + source) as instance:
        result, error = instance.invoke([1, None]), instance.invoke("raise")

        assert result.json()["event"] == [1, None]
        assert len(result.json()["request"]) == 36
        assert error.status == 500
        assert error.json()["errorType"] == "LookupError"
        assert error.json()["errorMessage"] == "no such thing"


@polling
def test_async_handler(run: Run, flag_server: FlagServer, polling: str) -> None:
    """Handlers with ``async def`` run on one loop, and the end is heard after them."""
    source = """
loops = set()

@flags.wrap
async def handler(event, context):
    loops.add(asyncio.get_running_loop())
    await asyncio.sleep(0)
    return [flags.is_enabled("simpleFlag"), len(loops)]
"""
    with run(FUNCTION + source, polling=polling) as instance:
        answers = [instance.invoke().json() for _ in range(3)]
        ended = instance.terminate()

        assert answers == [[True, 1]] * 3
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 3, WAIT) == Counts(yes=3)


# -- the end ---------------------------------------------------------------------------


@polling
def test_flush_at_the_end(run: Run, flag_server: FlagServer, polling: str) -> None:
    """At SIGTERM every evaluation is counted, well inside the grace."""
    with run(FUNCTION + WRAPPED, polling=polling) as instance:
        for _ in range(5):
            instance.invoke()
        before = flag_server.counts("simpleFlag")
        ended = instance.terminate()

        assert before == Counts()
        assert (ended.code, ended.killed) == (0, False)
        assert flag_server.wait_for_counts("simpleFlag", 5, WAIT) == Counts(yes=5)
        assert "Error" not in instance.output


@polling
@pytest.mark.parametrize("order", ["before", "after"])
def test_handler_of_the_user(
    run: Run, flag_server: FlagServer, polling: str, order: str
) -> None:
    """A SIGTERM handler of the user's keeps its say, and costs no count."""
    install = """
def tell(signum, frame):
    os.write(1, b"told\\\\n")

signal.signal(signal.SIGTERM, tell)
""".replace("\\\\", "\\")
    parts = [install, WRAPPED] if order == "before" else [WRAPPED, install]
    with run(FUNCTION + "".join(parts), polling=polling, grace="0.3") as instance:
        instance.invoke()
        instance.terminate()

        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)
        if polling == "true":  # else no Python handler runs while the instance is idle
            assert instance.output == "told\n"


@polling
def test_displaced_wakeup_fd(run: Run, flag_server: FlagServer, polling: str) -> None:
    """An event loop of the user's may take the wakeup fd during an invocation."""
    source = """
@flags.wrap
def handler(event, context):
    loop = asyncio.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.close()
    return flags.is_enabled("simpleFlag")
"""
    with run(FUNCTION + source, polling=polling) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


@polling
def test_end_in_the_middle(run: Run, flag_server: FlagServer, polling: str) -> None:
    """What was counted by an invocation that timed out is flushed."""
    source = """
@flags.wrap
def handler(event, context):
    flags.is_enabled("simpleFlag")
    while event:
        time.sleep(0.01)
"""
    with run(FUNCTION + source, polling=polling) as instance:
        instance.invoke()
        late = instance.invoke("wait", timeout=0.3)

        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert flag_server.wait_for_counts("simpleFlag", 2, WAIT) == Counts(yes=2)


@polling
def test_two_sessions(run: Run, flag_server: FlagServer, polling: str) -> None:
    """Two sessions of one process are one extension, and both are flushed."""
    source = """
others = FlagSession(app_name="others")

@flags.wrap
@others.wrap
def handler(event, context):
    return [flags.is_enabled("simpleFlag"), others.is_enabled("simpleFlag")]
"""
    with run(FUNCTION + source, polling=polling) as instance:
        extensions = len(instance.lifecycle.extensions)
        answer = instance.invoke().json()
        instance.terminate()
        for app_name in ("function", "others"):
            flag_server.wait_for_counts("simpleFlag", 1, WAIT, app_name=app_name)

        assert answer == [True, True]
        assert extensions == 1
        assert flag_server.counts("simpleFlag", app_name="function") == Counts(yes=1)
        assert flag_server.counts("simpleFlag", app_name="others") == Counts(yes=1)


def test_wrapped_too_late(run: Run, flag_server: FlagServer) -> None:
    """Where no extension can be registered any more, each invocation flushes."""
    source = """
def answer(event, context):
    return [flags.is_enabled("simpleFlag"), flags.status.termination]

def handler(event, context):
    return flags.wrap(answer)(event, context)
"""
    with run(FUNCTION + source) as instance:
        enabled, termination = instance.invoke().json()

        assert enabled is True
        assert termination != "connected"
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


def test_after_the_end_of_a_cold_start(run: Run, flag_server: FlagServer) -> None:
    """An instance that ends before its first invocation has nothing to send."""
    with run(FUNCTION + WRAPPED) as instance:
        ended = instance.terminate()

        assert (ended.code, ended.killed) == (0, False)
        assert count_requests(flag_server, "/api/client/metrics") == 0


# -- other modes ---------------------------------------------------------------------


def test_snap_start(run: Run, flag_server: FlagServer) -> None:
    """A restored instance answers and is flushed at its end."""
    with run(FUNCTION + WRAPPED, mode="snap-start") as instance:
        answer = instance.invoke().json()
        ended = instance.terminate()

        assert answer is True
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


def test_managed_instance(run: Run, flag_server: FlagServer) -> None:
    """Every worker starts its own session, hears the end and flushes."""
    source = """
@flags.wrap
def handler(event, context):
    return [flags.is_enabled("simpleFlag"), flags.status.termination]
"""
    with run(FUNCTION + source, mode="managed-instances", workers="3") as instance:
        starts = count_requests(flag_server, "/api/client/features")
        answers = [instance.invoke().json() for _ in range(9)]
        ended = instance.terminate()

        assert starts == 3
        assert answers == [[True, "connected"]] * 9
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 9, WAIT) == Counts(yes=9)


# -- bad days ------------------------------------------------------------------------


def test_no_url(write_function: WriteFunction) -> None:
    """Without a url the function runs, flags take their defaults, one warning."""
    target = write_function(FUNCTION + WRAPPED)
    environ = {"UNLEASH_URL": "", "UNLEASH_API_TOKEN": ""}
    with emulate("aws_lambda", target, environ=environ) as instance:
        answers = [instance.invoke().json() for _ in range(2)]
        ended = instance.terminate()

        assert answers == [False] * 2
        assert not ended.killed
        assert instance.output.count("UNLEASH_URL") == 1


def test_refused_connection(run: Run, flag_server: FlagServer) -> None:
    """A flag server that is down changes nothing but the answers."""
    flag_server.stop()
    with run(FUNCTION + WRAPPED) as instance:
        answers = [instance.invoke() for _ in range(2)]
        ended = instance.terminate()

        assert [answer.json() for answer in answers] == [False] * 2
        assert not ended.killed


def test_silent_server(run: Run) -> None:
    """A flag server that never answers holds Init no longer than ``start_timeout``."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "UNLEASH_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/api",
            "SERVERLESS_FLAGS_START_TIMEOUT": "0.3",
        }
        with run(FUNCTION + WRAPPED, settings=settings) as instance:
            answer = instance.invoke()
            ended = instance.terminate()

            assert instance.init_duration < 5
            assert answer.json() is False
            assert ended.seconds < 0.5


def test_silent_extensions_api(run: Run) -> None:
    """An Extensions API that never answers does not hold Init for long either."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = f"""
real = os.environ["AWS_LAMBDA_RUNTIME_API"]
os.environ["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:{silent.getsockname()[1]}"
"""
        with run(FUNCTION + source + WRAPPED) as instance:
            assert instance.invoke().json() is True
            assert not instance.lifecycle.extensions


def test_import_off_the_main_thread(run: Run, flag_server: FlagServer) -> None:
    """Off the main thread no signal can be connected, so each invocation flushes."""
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
    with run(FUNCTION + source) as instance:
        assert instance.invoke().json() is True
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)
        assert not instance.lifecycle.extensions
