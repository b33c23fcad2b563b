"""The extension that receives every invocation, without a runtime."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from serverless_flags_aws_lambda import _after_response
from serverless_flags_aws_lambda._after_response import AfterResponse
from serverless_flags_aws_lambda._emulator.instance_state import Call
from serverless_flags_aws_lambda._extension import RegistrationOutcome

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""


@pytest.fixture(name="extension")
def _extension(api, monkeypatch):
    """Yield a registered extension; afterwards its endless thread sleeps."""
    extension = AfterResponse(api.address)
    assert extension.register().outcome is RegistrationOutcome.ACCEPTED
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
    """Return a function that waits until the extension requests its next event."""
    state = api.state
    return lambda: state.wait(lambda: state.extensions_ready, WAIT)


@pytest.fixture(name="event")
def _event(api, asks):
    """Send an event to the extension; return its request id."""
    assert asks()
    call = Call(b"{}", time.time() + WAIT)
    api.state.offer(call)
    return call.id


def test_it_calls_accepted_waits_before_the_next_event(extension, asks, event):
    """After the invocation's end it calls the waits, then requests the next event."""
    waited = []
    extension.begin(event)
    accepted = extension.accept_wait(
        event, lambda timeout: waited.append(timeout) or True
    )
    extension.end(event)

    assert accepted
    assert asks()
    assert [0 < timeout <= _after_response.MAX_WAIT for timeout in waited] == [True]


def test_an_event_without_a_session_is_released(extension, asks, event):
    """An invocation that begins after its event was released waits by itself."""
    extension.end(event)
    assert asks()
    extension.begin(event)

    assert not extension.accept_wait(event, lambda _: True)


def test_a_second_block_after_the_release_waits_by_itself(extension, asks, event):
    """When a second block begins, the next event may have been requested."""
    extension.begin(event)
    extension.end(event)
    assert asks()
    extension.begin(event)

    assert not extension.accept_wait(event, lambda _: True)


def test_an_invocation_without_an_id_waits_by_itself(extension):
    """Without a context, an invocation cannot be matched with its event."""
    extension.begin(None)

    assert not extension.accept_wait(None, lambda _: True)


def test_a_forked_child_waits_by_itself(extension, monkeypatch):
    """A forked child has no thread of the extension."""
    monkeypatch.setattr(_after_response.os, "getpid", lambda: -1)

    assert not extension.accept_wait("id", lambda _: True)


def test_while_the_api_cannot_be_reached(extension, api, asks):
    """While the API is unreachable, no wait is accepted and the thread retries."""
    assert asks()
    api.close()
    lost = threading.Event()
    api.state.wait(
        lambda: not extension.accept_wait("id", lambda _: True) and lost.set() is None,
        WAIT,
    )

    assert lost.is_set()


def test_without_a_thread_nothing_is_registered(api, monkeypatch):
    """Without a thread, registration would make every invocation time out."""

    def start(_):
        raise RuntimeError

    monkeypatch.setattr(threading.Thread, "start", start)
    registration = AfterResponse("127.0.0.1:1").register()

    assert registration.outcome is RegistrationOutcome.FAILED


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"no JSON")])
def test_an_answer_that_is_no_event(status, body):
    """A response that is no event is an error, after which the thread retries."""
    answer = SimpleNamespace(status=status, read=lambda: body)
    connection = SimpleNamespace(
        request=lambda *_, **__: None, getresponse=lambda: answer
    )

    with pytest.raises((OSError, ValueError)):
        _after_response._next_event(connection, "id")
