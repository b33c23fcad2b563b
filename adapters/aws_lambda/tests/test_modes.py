"""Provisioned concurrency and Managed Instances under the real awslambdaric."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import EmulatorError
from serverless_flags.testing import Counts
from serverless_flags_aws_lambda._emulator.emulator import AwsLambdaEmulator

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""

# -- provisioned concurrency -----------------------------------------------------------


def test_first_call_long_after_init(run, flag_server, is_frozen):
    """Flags that became stale since Init are refreshed before the first handler."""
    settings = {
        "SERVERLESS_FLAGS_MAX_AGE": "0.2",
        "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
    }
    with run(mode="provisioned-concurrency", settings=settings) as instance:
        assert instance.state.wait(lambda: is_frozen(instance), WAIT)
        flag_server.set("simpleFlag", False)
        time.sleep(0.25)  # the instance has its own clock, and it is frozen
        answer = instance.invoke().json()

        assert answer is False
        assert len(flag_server.requests) == 2


# -- Managed Instances ---------------------------------------------------------------


def test_workers(write_function, tmp_path, is_frozen):
    """Workers handle events in parallel, unfrozen; one extension brings all SIGTERM."""
    source = """
    import os
    import time
    from plain_extension import register, send_next

    identifier, content = register([])
    kept = send_next(identifier) if identifier else None

    def handler(event, context):
        open(f"{event}.arrived", "w").close()
        while not os.path.exists(f"{1 - event}.arrived"):
            time.sleep(0.01)
        return [os.getpid(), content.get("errorType")]
    """
    target = write_function(source)
    options = {"mode": "managed-instances", "workers": "2"}
    with AwsLambdaEmulator(target, grace=str(WAIT), **options) as instance:
        with ThreadPoolExecutor(2) as pool:
            answers = [each.json() for each in pool.map(instance.invoke, (0, 1))]
        frozen = is_frozen(instance)
        ended = instance.terminate()

        assert len({pid for pid, _ in answers}) == 2
        assert None in [refusal for _, refusal in answers]
        assert not frozen
        assert not ended.killed
        assert instance.output == "got SIGTERM\n" * 2


def test_workers_without_extension(write_function):
    """Without an extension the workers are killed together, without SIGTERM."""
    target = write_function(
        """
        import plain_extension

        def handler(event, context):
            pass
        """
    )
    with AwsLambdaEmulator(target, mode="managed-instances") as instance:
        ended = instance.terminate()

        assert ended.killed
        assert instance.output == ""


def test_workers_know_no_timeout(write_function):
    """A caller that waits too long gets an error; the worker goes on."""
    target = write_function(
        """
        import time

        def handler(event, context):
            time.sleep(event)
        """
    )
    with AwsLambdaEmulator(target, mode="managed-instances", workers="1") as instance:
        with pytest.raises(EmulatorError, match=r"no answer in 0\.2 s"):
            instance.invoke(30, timeout=0.2)

        assert instance.process.poll() is None


def test_flags_in_workers(run, flag_server, tmp_path):
    """Each worker has its own session and flushes at SIGTERM; no file remains."""
    source = """
    @flags.wrap
    def handler(event, context):
        return [flags.is_enabled("simpleFlag"), flags.status.termination]
    """
    shared = tmp_path / "shared"
    shared.mkdir()
    options = {"mode": "managed-instances", "workers": "3"}
    with run(source, settings={"TMPDIR": str(shared)}, **options) as instance:
        starts = [request.path for request in flag_server.requests]
        callers = {each.headers["unleash-instanceid"] for each in flag_server.requests}
        answers = [instance.invoke().json() for _ in range(9)]
        ended = instance.terminate()

        assert starts == ["/api/client/features"] * 3
        assert len(callers) == 3
        assert list(shared.iterdir()) == []
        assert answers == [[True, "connected"]] * 9
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 9, WAIT) == Counts(yes=9)
