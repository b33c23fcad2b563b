"""Work after the response, where the user has asked for it: no answer is delayed."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from serverless_flags.testing import Counts
from serverless_flags.testing.faults import Fault
from serverless_flags_aws_lambda import _after_response
from serverless_flags_aws_lambda._after_response import AfterResponse
from serverless_flags_aws_lambda._environment import Function
from serverless_flags_aws_lambda._extension import Outcome
from serverless_flags_aws_lambda._lifecycle import Call, Lifecycle
from serverless_flags_aws_lambda._runtime_api import RuntimeApi

WAIT = 10.0
"""Seconds; a bound against hanging only."""

SWITCHED_ON = {"SERVERLESS_FLAGS_AWS_LAMBDA_AFTER_RESPONSE": "1"}
FLUSH_AT_ONCE = {**SWITCHED_ON, "SERVERLESS_FLAGS_FLUSH_INTERVAL": "0"}
REFRESH_AT_ONCE = {**SWITCHED_ON, "SERVERLESS_FLAGS_MAX_AGE": "0"}

# -- under the real runtime ------------------------------------------------------------


@pytest.mark.parametrize("settings", [FLUSH_AT_ONCE, REFRESH_AT_ONCE])
def test_the_response_comes_first(run, faulty_server, is_frozen, polling, settings):
    """The caller has its answer before a request has, and the freeze comes after it."""
    options = {"server": faulty_server, "polling": polling}
    with run(settings=settings, **options) as instance:
        faulty_server.fault = Fault.UNANSWERED
        answer = instance.invoke()
        requested = faulty_server.wait_for_held(1, WAIT)
        working = not instance.lifecycle.idle and not is_frozen(instance)
        faulty_server.fault = Fault.NONE
        faulty_server.release()

        assert answer.json() is True
        assert requested
        assert working
        assert instance.lifecycle.wait(lambda: is_frozen(instance), WAIT)


def test_the_wait_is_bounded(run, faulty_server):
    """A server that never answers holds no instance into its function timeout."""
    options = {"server": faulty_server, "timeout": "1"}
    with run(settings=FLUSH_AT_ONCE, **options) as instance:
        faulty_server.fault = Fault.UNHEARD
        process = instance.process
        first, second = instance.invoke(), instance.invoke()

        assert [first.json(), second.json()] == [True, True]
        assert instance.process is process


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_counts_arrive(run, flag_server, polling, kind):
    """Each invocation's flush is done when the next begins, and the end loses none."""
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
    """At the function timeout what was counted is flushed, as ever."""
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
    """Two sessions are one extension, which waits for both."""
    source = """
    others = FlagSession(app_name="others")

    @flags.wrap
    @others.wrap
    def handler(event, context):
        return [flags.is_enabled("simpleFlag"), others.is_enabled("simpleFlag")]
    """
    with run(source, settings=FLUSH_AT_ONCE) as instance:
        extensions = [each.events for each in instance.lifecycle.extensions.values()]
        answers = [instance.invoke().json() for _ in range(2)]
        instance.terminate()

        assert extensions == [["INVOKE"]]
        assert answers == [[True, True]] * 2
        assert flag_server.counts("simpleFlag") == Counts(yes=4)


def test_invocations_that_are_not_ours(run):
    """An invocation that enters no session ends without it."""
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


def test_the_thread_cannot_die(run):
    """Whatever fails in it, it asks for the next event."""
    source = """
    from serverless_flags_aws_lambda import _after_response

    real, faults = _after_response.AfterResponse._hold, [LookupError, OSError]

    def hold(extension, event):
        if faults:
            raise faults.pop()
        real(extension, event)

    _after_response.AfterResponse._hold = hold

    @flags.wrap
    def handler(event, context):
        return [os.getpid(), len(faults)]
    """
    with run(source, settings=FLUSH_AT_ONCE, timeout="5") as instance:
        answers = [instance.invoke().json() for _ in range(4)]

        assert {pid for pid, _ in answers} == {instance.process.pid}
        assert answers[-1][1] == 0


def test_managed_instances_go_on_by_themselves(run, faulty_server):
    """They refuse the registration, which is tried again without events."""
    options = {"mode": "managed-instances", "server": faulty_server}
    with run(settings=FLUSH_AT_ONCE, **options) as instance:
        extensions = [each.events for each in instance.lifecycle.extensions.values()]
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


# -- the extension alone ---------------------------------------------------------------


@pytest.fixture(name="api")
def _api():
    """Yield the API of an instance in Init."""
    lifecycle = Lifecycle(workers=1, managed=False, on_idle=lambda: None)
    api = RuntimeApi(lifecycle, Function("f", "module.handler"))
    yield api
    api.close()


@pytest.fixture(name="extension")
def _extension(api, monkeypatch):
    """Yield a registered extension; its thread, which cannot end, sleeps afterwards."""
    extension = AfterResponse(api.address)
    assert extension.register().outcome is Outcome.ACCEPTED
    yield extension
    asleep = threading.Event()

    def sleep(*_):
        asleep.set()
        threading.Event().wait()

    monkeypatch.setattr(_after_response, "_next_event", sleep)
    api.close()
    assert asleep.wait(WAIT)


@pytest.fixture(name="asks")
def _asks(api, extension):
    """Return what waits until the extension has asked for its next event."""
    lifecycle = api.lifecycle
    return lambda: lifecycle.wait(lambda: lifecycle.extensions_ready, WAIT)


@pytest.fixture(name="event")
def _event(api, asks):
    """Send an event to the extension; return its request id."""
    assert asks()
    call = Call(b"{}", time.time() + WAIT)
    api.lifecycle.offer(call)
    return call.id


def test_it_waits_for_what_was_handed_over(extension, asks, event):
    """In the order of an invocation: begin, take, end, the waits, the next event."""
    waited = []
    extension.begin(event)
    taken = extension.take(event, lambda timeout: waited.append(timeout) or True)
    extension.end(event)

    assert taken
    assert asks()
    assert [0 < timeout <= _after_response.LONGEST for timeout in waited] == [True]


def test_an_event_without_an_invocation_is_let_go(extension, asks, event):
    """No session has entered it: what begins later waits for itself."""
    extension.end(event)
    assert asks()
    extension.begin(event)

    assert not extension.take(event, lambda _: True)


def test_a_block_after_the_release_waits_for_itself(extension, asks, event):
    """The next event may have been asked for when a second block begins."""
    extension.begin(event)
    extension.end(event)
    assert asks()
    extension.begin(event)

    assert not extension.take(event, lambda _: True)


def test_an_invocation_without_an_id_waits_for_itself(extension):
    """A block that was not given the context cannot be told from another."""
    extension.begin(None)

    assert not extension.take(None, lambda _: True)


def test_a_forked_child_waits_for_itself(extension, monkeypatch):
    """It has no thread that could."""
    monkeypatch.setattr(_after_response.os, "getpid", lambda: -1)

    assert not extension.take("id", lambda _: True)


def test_while_the_api_cannot_be_reached(extension, api, asks):
    """Nothing is taken over; the thread goes on trying."""
    assert asks()
    api.close()
    lost = threading.Event()
    api.lifecycle.wait(
        lambda: not extension.take("id", lambda _: True) and lost.set() is None, WAIT
    )

    assert lost.is_set()


def test_without_a_thread_nothing_is_registered(api, monkeypatch):
    """Registered without one, every invocation would run into its timeout."""

    def start(_):
        raise RuntimeError

    monkeypatch.setattr(threading.Thread, "start", start)
    registration = AfterResponse("127.0.0.1:1").register()

    assert registration.outcome is Outcome.FAILED


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"no JSON")])
def test_an_answer_that_is_no_event(status, body):
    """It is an error, after which is asked again."""
    answer = SimpleNamespace(status=status, read=lambda: body)
    connection = SimpleNamespace(
        request=lambda *_, **__: None, getresponse=lambda: answer
    )

    with pytest.raises((OSError, ValueError)):
        _after_response._next_event(connection, "id")
