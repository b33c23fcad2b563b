"""Work after the response, if you opt in: it delays no response."""

from __future__ import annotations

import pytest

from serverless_flags.testing import Counts
from serverless_flags.testing.faults import Fault

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""

SWITCHED_ON = {"SERVERLESS_FLAGS_AWS_LAMBDA_AFTER_RESPONSE": "1"}
FLUSH_AT_ONCE = {**SWITCHED_ON, "SERVERLESS_FLAGS_FLUSH_INTERVAL": "0"}
REFRESH_AT_ONCE = {**SWITCHED_ON, "SERVERLESS_FLAGS_MAX_AGE": "0"}


@pytest.mark.parametrize("settings", [FLUSH_AT_ONCE, REFRESH_AT_ONCE])
def test_the_response_comes_first(run, faulty_server, is_frozen, polling, settings):
    """The response precedes the requests, and the freeze follows them."""
    options = {"server": faulty_server, "polling": polling}
    with run(settings=settings, **options) as instance:
        faulty_server.fault = Fault.UNANSWERED
        answer = instance.invoke()
        requested = faulty_server.wait_for_held(1, WAIT)
        working = not instance.state.idle and not is_frozen(instance)
        faulty_server.fault = Fault.NONE
        faulty_server.release()

        assert answer.json() is True
        assert requested
        assert working
        assert instance.state.wait(lambda: is_frozen(instance), WAIT)


def test_the_wait_is_bounded(run, faulty_server):
    """A server that never answers does not keep an instance until its timeout."""
    options = {"server": faulty_server, "timeout": "1"}
    with run(settings=FLUSH_AT_ONCE, **options) as instance:
        faulty_server.fault = Fault.UNHEARD
        process = instance.process
        first, second = instance.invoke(), instance.invoke()

        assert [first.json(), second.json()] == [True, True]
        assert instance.process is process


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_counts_arrive(run, flag_server, polling, kind):
    """Each invocation's counts arrive before the next one begins or at shutdown."""
    source = f"""
    @flags.wrap
    {kind} handler(event, context):
        flags.is_enabled("simpleFlag")
        if event == 2:
            raise LookupError
        return [flags.status.termination, flags.status.unknown_counts]
    """
    with run(source, settings=FLUSH_AT_ONCE, polling=polling) as instance:
        answers = [instance.invoke(number) for number in range(4)]
        ended = instance.terminate()

        assert [200, 200, 500, 200] == [answer.status for answer in answers]
        assert answers[3].json() == ["connected", 0]
        assert not ended.killed
        assert flag_server.counts("simpleFlag") == Counts(yes=4)


def test_timed_out(run, flag_server):
    """The counts of an invocation that timed out are sent."""
    source = """
    @flags.wrap
    def handler(event, context):
        flags.is_enabled("simpleFlag")
        time.sleep(30)
    """
    with run(source, settings=SWITCHED_ON) as instance:
        late = instance.invoke(timeout=0.3)

        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert flag_server.wait_for_counts("simpleFlag", 1, WAIT) == Counts(yes=1)


def test_sessions_inside_each_other(run, flag_server):
    """Two sessions share one extension, which waits for both."""
    source = """
    others = FlagSession(app_name="others")

    @flags.wrap
    @others.wrap
    def handler(event, context):
        return [flags.is_enabled("simpleFlag"), others.is_enabled("simpleFlag")]
    """
    with run(source, settings=FLUSH_AT_ONCE) as instance:
        extensions = [each.events for each in instance.state.extensions.values()]
        answers = [instance.invoke().json() for _ in range(2)]
        instance.terminate()

        assert extensions == [["INVOKE"]]
        assert answers == [[True, True]] * 2
        assert flag_server.counts("simpleFlag") == Counts(yes=4)


def test_invocations_without_a_session(run):
    """An invocation that enters no session does not wait for one."""
    source = """
    @flags.wrap
    def answer(event, context):
        return os.getpid()

    def handler(event, context):
        return answer(event, context) if event else os.getpid()
    """
    with run(source, settings=SWITCHED_ON, timeout="5") as instance:
        answers = {instance.invoke(number % 2).json() for number in range(4)}

        assert answers == {instance.process.pid}


def test_the_thread_survives_errors(run):
    """The thread requests the next event after any error."""
    source = """
    from serverless_flags_aws_lambda import _after_response

    real, faults = _after_response.AfterResponse._keep_awake, [LookupError, OSError]

    def keep_awake(extension, event):
        if faults:
            raise faults.pop()
        real(extension, event)

    _after_response.AfterResponse._keep_awake = keep_awake

    @flags.wrap
    def handler(event, context):
        return [os.getpid(), len(faults)]
    """
    with run(source, settings=FLUSH_AT_ONCE, timeout="5") as instance:
        answers = [instance.invoke().json() for _ in range(4)]

        assert {pid for pid, _ in answers} == {instance.process.pid}
        assert answers[-1][1] == 0


def test_managed_instances_register_without_events(run, faulty_server):
    """Managed Instances refuse INVOKE, so the extension registers without events."""
    options = {"mode": "managed-instances", "server": faulty_server}
    with run(settings=FLUSH_AT_ONCE, **options) as instance:
        extensions = [each.events for each in instance.state.extensions.values()]
        faulty_server.fault = Fault.UNANSWERED
        answer = instance.invoke().json()
        requested = faulty_server.wait_for_held(1, WAIT)
        faulty_server.fault = Fault.NONE
        faulty_server.release()
        instance.invoke()
        instance.terminate()

        assert extensions == [[]]
        assert answer is True
        assert requested
        assert faulty_server.wait_for_counts("simpleFlag", 2, WAIT) == Counts(yes=2)
