"""SnapStart under the real awslambdaric: snapshots and restored instances."""

from __future__ import annotations

import logging
import sys
from textwrap import dedent

import pytest

from serverless_flags import EmulatorError, FlagSession
from serverless_flags.testing import Counts
from serverless_flags.testing.faults import Fault
from serverless_flags_aws_lambda import _snapstart
from serverless_flags_aws_lambda._emulator.emulator import AwsLambdaEmulator

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""

# -- the emulator ----------------------------------------------------------------------

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
    with AwsLambdaEmulator(target, mode="snap-start") as instance:
        assert instance.invoke().json() == ["import", "before", "after"]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("before_snapshot", r"Init failed: .*LookupError.* \(exit code 64\)"),
        ("after_restore", r"restore failed: .*LookupError.* \(exit code 65\)"),
    ],
)
def test_failing_hook(write_function, moment, expected):
    """A hook that raises ends the instance with the exit code of its phase."""
    target = write_function(HOOKS + f"snapshot.register_{moment}(fail)\n")

    with (
        pytest.raises(EmulatorError, match=expected),
        AwsLambdaEmulator(target, mode="snap-start", grace=str(WAIT)),
    ):
        pass


# -- flags -----------------------------------------------------------------------------


def requests_for_flags(server):
    """Return the requests for flags so far."""
    return [each for each in server.requests if each.method == "GET"]


def test_a_restored_instance_sees_flags_changed_since_the_snapshot(run, flag_server):
    """It refreshes the snapshot's flags before its first invocation."""
    instance = run(mode="snap-start")
    instance.while_frozen = lambda: flag_server.set("simpleFlag", False)
    with instance:
        asked = len(requests_for_flags(flag_server))
        answer = instance.invoke().json()
        ended = instance.terminate()

        assert asked == 2
        assert answer is False
        assert not ended.killed
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(no=1)


def test_what_init_counted_is_sent_once(run, flag_server):
    """The counts of Init are sent before the snapshot, and only then."""
    source = """
    import snapshot_restore_py as snapshot

    @flags.wrap
    def handler(event, context):
        return flags.is_enabled("simpleFlag")

    snapshot.register_after_restore(flags.is_enabled, "simpleFlag")
    flags.is_enabled("simpleFlag")
    """
    at_snapshot = []
    instance = run(source, mode="snap-start")
    instance.while_frozen = lambda: at_snapshot.append(flag_server.counts("simpleFlag"))
    with instance:
        instance.invoke()
        instance.terminate()

        assert at_snapshot == [Counts(yes=1)]
        assert flag_server.wait_for_counts("simpleFlag", 3, WAIT) == Counts(yes=3)


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNHEARD, Fault.ERROR])
def test_without_a_server_a_restored_instance_serves_the_snapshots_flags(
    run, faulty_server, fault
):
    """The restore takes ``start_timeout`` at most, and does not fail."""
    source = """
    @flags.wrap
    def handler(event, context):
        return [flags.is_enabled("simpleFlag"), flags.status.source]
    """
    settings = {"SERVERLESS_FLAGS_START_TIMEOUT": "0.3"}
    instance = run(source, settings=settings, mode="snap-start", server=faulty_server)
    instance.while_frozen = lambda: setattr(faulty_server, "fault", fault)
    with instance:
        assert instance.invoke().json() == [True, "server"]


def test_two_copies_of_one_image_are_two_instances(run, flag_server):
    """
    Two instances restored from one snapshot have different identities.

    They have the same memory and the same process id, and Python does not notice the
    restore. Here a ``fork`` that Python does not notice stands for it.
    """
    source = """
    import ctypes
    import snapshot_restore_py as snapshot

    def fork():
        pid = os.getpid()
        if ctypes.PyDLL(None).fork() == 0:
            os.getpid = lambda: pid

    snapshot.register_before_snapshot(fork)  # the first to be registered is called last

    @flags.wrap
    def handler(event, context):
        return flags.is_enabled("simpleFlag")
    """
    with run(source, mode="snap-start") as instance:
        instance.thaw()  # the first process that was ready had both of them frozen
        state = instance.state
        state.wait(lambda: len(requests_for_flags(flag_server)) == 3, WAIT)
        asked = [each.headers for each in requests_for_flags(flag_server)]

    assert len(asked) == 3
    for header in ("unleash-instanceid", "unleash-connection-id"):
        assert len({headers[header] for headers in asked}) == 3


# -- the hooks, without a runtime ----------------------------------------------------


@pytest.fixture(name="hooks")
def _hooks(monkeypatch):
    """Return the registered hooks, from a registry that the test provides."""
    hooks = []

    class Registry:
        @staticmethod
        def register_before_snapshot(hook, *args):
            hooks.append(lambda: hook(*args))

        register_after_restore = register_before_snapshot

    monkeypatch.setitem(sys.modules, "snapshot_restore_py", Registry)
    return hooks


def test_hooks_of_a_session_that_is_gone(hooks):
    """The hooks keep no session alive, and do nothing after it is collected."""
    _snapstart.connect_snapshot(FlagSession(client="memory", platform="local"))

    assert [hook() for hook in hooks] == [None, None]


def test_faults_of_the_session_are_logged(hooks, monkeypatch, caplog):
    """An error in a hook is logged, because raising would end the instance."""
    session = FlagSession(client="memory", platform="local")
    _snapstart.connect_snapshot(session)
    monkeypatch.setattr(session, "renew", lambda: 1 / 0)
    for hook in hooks:
        hook()

    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2


def test_without_the_runtimes_module(monkeypatch, caplog):
    """Without snapshot-restore-py, a warning says so."""
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    _snapstart.connect_snapshot(FlagSession(client="memory", platform="local"))

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "snapshot-restore-py" in caplog.text
