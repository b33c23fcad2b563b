"""SnapStart and Managed Instances, emulated under the real awslambdaric."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from serverless_flags import EmulatorError
from serverless_flags.testing import Counts
from serverless_flags_aws_lambda._emulator import LambdaEmulator

WAIT = 10.0
"""Seconds; a bound against hanging only."""

# -- SnapStart ---------------------------------------------------------------------

HOOKS = """
import snapshot_restore_py as snapshot

log = ["import"]

def handler(event, context):
    return log

def before():
    log.append("before")

def after():
    log.append("after")

def fail():
    raise LookupError("no")
"""


def test_hooks(write_function):
    """The hooks run around the snapshot, before the first event."""
    register = """
    snapshot.register_before_snapshot(before)
    snapshot.register_after_restore(after)
    """
    target = write_function(HOOKS + dedent(register))
    with LambdaEmulator(target, mode="snap-start") as instance:
        assert instance.invoke().json() == ["import", "before", "after"]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("before_snapshot", r"Init failed: .*LookupError.* \(exit code 64\)"),
        ("after_restore", r"restore failed: .*LookupError.* \(exit code 65\)"),
    ],
)
def test_failing_hook(write_function, moment, expected):
    """A hook that raises ends the instance with a code of its own."""
    target = write_function(HOOKS + f"snapshot.register_{moment}(fail)\n")

    with (
        pytest.raises(EmulatorError, match=expected),
        LambdaEmulator(target, mode="snap-start", grace=str(WAIT)),
    ):
        pass


def test_flags_after_a_restore(run, flag_server):
    """A restored instance answers and is flushed at its end."""
    with run(mode="snap-start") as instance:
        answer = instance.invoke().json()
        ended = instance.terminate()

        assert answer is True
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


# -- Managed Instances ---------------------------------------------------------------


def test_workers(write_function, tmp_path, is_frozen):
    """Workers handle events side by side, unfrozen; one extension tells them all."""
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
    with LambdaEmulator(target, grace=str(WAIT), **options) as instance:
        with ThreadPoolExecutor(2) as pool:
            answers = [each.json() for each in pool.map(instance.invoke, (0, 1))]
        frozen = is_frozen(instance)
        ended = instance.terminate()

        assert len({pid for pid, _ in answers}) == 2
        assert None in [refusal for _, refusal in answers]
        assert not frozen
        assert not ended.killed
        assert instance.output == "told\n" * 2


def test_workers_without_extension(write_function):
    """Without an extension the workers are killed together and hear nothing."""
    target = write_function(
        """
        import plain_extension

        def handler(event, context):
            pass
        """
    )
    with LambdaEmulator(target, mode="managed-instances") as instance:
        ended = instance.terminate()

        assert ended.killed
        assert instance.output == ""


def test_workers_know_no_timeout(write_function):
    """Who waits for a worker too long gives up; the worker is left alone."""
    target = write_function(
        """
        import time

        def handler(event, context):
            time.sleep(event)
        """
    )
    with LambdaEmulator(target, mode="managed-instances", workers="1") as instance:
        with pytest.raises(EmulatorError, match=r"no answer in 0\.2 s"):
            instance.invoke(30, timeout=0.2)

        assert instance.process.poll() is None


def test_flags_in_workers(run, flag_server):
    """Every worker starts its own session, hears the end and flushes."""
    source = """
    @flags.wrap
    def handler(event, context):
        return [flags.is_enabled("simpleFlag"), flags.status.termination]
    """
    with run(source, mode="managed-instances", workers="3") as instance:
        starts = [request.path for request in flag_server.requests]
        answers = [instance.invoke().json() for _ in range(9)]
        ended = instance.terminate()

        assert starts == ["/api/client/features"] * 3
        assert answers == [[True, "connected"]] * 9
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 9, WAIT) == Counts(yes=9)
