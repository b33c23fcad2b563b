"""The wrapper changes no function of any kind that functions-framework knows."""

from __future__ import annotations

import pytest

from serverless_flags.testing import Counts, FlagServer


@pytest.mark.parametrize("target", ["http_wrapped_last", "aio_http_wrapped_last"])
def test_the_decorators_may_change_places(start_flagged, server, target):
    """The wrapper may be the outer decorator: it keeps the function's name."""
    instance = start_flagged(target)

    assert instance.request().json()["enabled"]


@pytest.mark.parametrize(
    "target", ["cloud_event", "cloud_event_wrapped_last", "aio_cloud_event"]
)
def test_event_functions(start_flagged, server, target):
    """Event functions work with the decorators in either order."""
    instance = start_flagged(target)

    answer = instance.cloud_event({"a": 1}, id="7")

    assert (answer.status, "event 7 True" in instance.output) == (200, True)


def test_background_functions(start_flagged, server):
    """Background functions, with data and context, can be wrapped."""
    instance = start_flagged("background", signature_type="event")

    answer = instance.request(
        method="POST",
        headers={"content-type": "application/json"},
        body=b'{"context": {"eventId": "7", "eventType": "t"}, "data": 1}',
    )

    assert (answer.status, "event 7 1 True" in instance.output) == (200, True)


def test_typed_functions(start_flagged, server):
    """functions-framework reads the argument's type through the wrapper."""
    instance = start_flagged("typed")

    answer = instance.request(
        method="POST",
        headers={"content-type": "application/json"},
        body=b'{"name": "simpleFlag"}',
    )

    assert answer.json() == {"enabled": True}


@pytest.mark.parametrize("target", ["http_streaming", "aio_http_streaming"])
def test_a_streamed_body_is_untouched(start_flagged, server, target):
    """A body that is sent after the function has returned is counted too."""
    instance = start_flagged(target)

    answer = instance.request()
    instance.terminate()

    assert (answer.status, answer.body) == (201, "flag: True")
    assert Counts(yes=1) == server.counts("simpleFlag")


def test_a_streamed_body_may_be_an_invocation_of_its_own(start_flagged, server):
    """A body in ``flags.invocation()`` ends with a flush if invocations do."""
    first_generation = {"K_CONFIGURATION": ""}
    instance = start_flagged("http_streaming_in_invocation", environ=first_generation)

    answer = instance.request()
    instance.kill()

    assert answer.body == "flag: True"
    assert Counts(yes=1) == server.counts("simpleFlag")


@pytest.mark.parametrize("target", ["http", "aio_http"])
def test_the_client_address_decides(start, target):
    """A flag's strategy sees the client's address, which cannot be forged."""
    strategy = {"name": "remoteAddress", "parameters": {"IPs": "203.0.113.7"}}
    flag = {"name": "simpleFlag", "enabled": True, "strategies": [strategy]}
    with FlagServer({"version": 2, "features": [flag]}) as own:
        instance = start(f"flagged.py:{target}", environ=own.environ)
        allowed = {"x-forwarded-for": "198.51.100.1, 203.0.113.7"}
        forged = {"x-forwarded-for": "203.0.113.7, 198.51.100.1"}

        assert instance.request(headers=allowed).json()["enabled"]
        assert not instance.request(headers=forged).json()["enabled"]
