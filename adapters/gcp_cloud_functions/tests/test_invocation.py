"""Invocations are read from the arguments that functions-framework passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
import pytest
from cloudevents.http import CloudEvent
from google.cloud.functions.context import Context
from starlette.requests import Request
from werkzeug.test import EnvironBuilder

from serverless_flags_gcp_cloud_functions._platform import GcpCloudFunctions

if TYPE_CHECKING:
    from serverless_flags import Invocation

EXECUTION = ("Function-Execution-Id", "execution-1")
TRACE = ("X-Cloud-Trace-Context", "trace-1/2;o=1")
FORGED = "198.51.100.1"
CLIENT = "203.0.113.7"


def _flask(*headers: tuple[str, str]) -> flask.Request:
    builder = EnvironBuilder("/a/b", method="PUT", headers=list(headers))
    return flask.Request({**builder.get_environ(), "REMOTE_ADDR": "192.0.2.1"})


def _starlette(*headers: tuple[str, str]) -> Request:
    return Request(
        {
            "type": "http",
            "method": "PUT",
            "path": "/a/b",
            "client": ("192.0.2.1", 1234),
            "headers": [(a.lower().encode(), b.encode()) for a, b in headers],
        }
    )


HTTP = pytest.mark.parametrize("request_of", [_flask, _starlette])


def _read(*args: Any, **environ: str) -> Invocation:
    platform = GcpCloudFunctions({"FUNCTION_TARGET": "hello", **environ})
    return platform.read_invocation(args, {})


def _context(invocation: Invocation) -> Any:
    context = invocation.context
    return context() if callable(context) else context


@HTTP
def test_the_execution_id_identifies_a_request(request_of):
    """The id of a request is its execution id, as in Google's logs."""
    assert _read(request_of(TRACE, EXECUTION)).id == "execution-1"


@HTTP
def test_the_trace_identifies_a_request_without_an_execution_id(request_of):
    """Without an execution id, the id of a request is its trace."""
    assert _read(request_of(TRACE)).id == "trace-1/2;o=1"


@HTTP
def test_nothing_identifies_a_bare_request(request_of):
    """A request with neither header has no id."""
    assert _read(request_of()).id is None


@HTTP
@pytest.mark.parametrize(
    "forwarded", [CLIENT, f"{FORGED}, {CLIENT}", f"{FORGED},{FORGED},{CLIENT}"]
)
def test_the_last_forwarded_address_is_the_clients(request_of, forwarded):
    """The address is the last one, as earlier ones may be forged."""
    invocation = _read(request_of(("X-Forwarded-For", forwarded)))

    expected = {
        "remoteAddress": CLIENT,
        "properties": {"method": "PUT", "path": "/a/b"},
    }
    assert expected == _context(invocation)


def test_the_last_of_several_headers_counts():
    """Of several header lines, the last one is Google's."""
    lines = [("X-Forwarded-For", FORGED), ("X-Forwarded-For", CLIENT)]

    assert _context(_read(_starlette(*lines)))["remoteAddress"] == CLIENT


@HTTP
def test_without_a_proxy_the_peer_is_the_client(request_of):
    """Without ``X-Forwarded-For`` the address is the peer's."""
    assert _context(_read(request_of()))["remoteAddress"] == "192.0.2.1"


def test_a_client_without_an_address_has_none():
    """On a Unix socket there is no address."""
    request = _starlette()
    request.scope["client"] = None

    assert "remoteAddress" not in _context(_read(request))


@HTTP
def test_unsigned_identity_headers_are_ignored(request_of):
    """IAP's unsigned headers, which can be forged, give no ``userId``."""
    header = ("X-Goog-Authenticated-User-Id", "accounts.google.com:forged")

    assert "userId" not in _context(_read(request_of(header)))


def test_a_subclass_of_a_request_is_recognised():
    """Your own subclass of Flask's request is read like a request."""

    class OwnRequest(flask.Request):
        pass

    request = OwnRequest(EnvironBuilder(headers=[EXECUTION]).get_environ())

    assert _read(request).id == "execution-1"


def test_an_event_is_read_from_its_attributes():
    """A CloudEvent has an id, a type and a source, and no user."""
    attributes = {"id": "7", "type": "com.example.made", "source": "//example"}
    invocation = _read(CloudEvent(attributes, {"a": 1}))

    assert invocation.id == "7"
    properties = {"type": "com.example.made", "source": "//example"}
    assert {"properties": properties} == _context(invocation)


def test_a_background_event_is_read_from_its_context():
    """A background event is read from the second argument, its context."""
    invocation = _read({"a": 1}, Context(eventId="7", eventType="com.example.made"))

    assert invocation.id == "7"
    assert _context(invocation) == {"properties": {"type": "com.example.made"}}


def test_an_empty_background_context_is_ignored():
    """Empty strings, which functions-framework uses for absent fields, are ignored."""
    invocation = _read({"a": 1}, Context())

    assert invocation.id is None
    assert _context(invocation) == {"properties": {}}


class Service:
    """An object that a decorator injects."""


@HTTP
@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ((), (Service(),), {}),
        ((Service(),), (), {}),
        ((Service(),), ("text", {"a": 1}), {"db": Service()}),
        ((), (), {"db": Service()}),
    ],
)
def test_a_request_is_found_among_injected_arguments(request_of, before, after, named):
    """A request is recognised at any position and under any keyword."""
    request = request_of(EXECUTION)
    platform = GcpCloudFunctions({"FUNCTION_TARGET": "hello"})

    by_place = platform.read_invocation((*before, request, *after), named)
    by_name = platform.read_invocation((*before, *after), {"request": request, **named})

    assert ("execution-1", "execution-1") == (by_place.id, by_name.id)
    assert _context(by_place)["properties"] == {"method": "PUT", "path": "/a/b"}


def test_events_are_found_among_injected_arguments():
    """A CloudEvent and a background context are recognised at any position."""
    event = CloudEvent({"id": "7", "type": "made", "source": "//x"}, {})
    background = Context(eventId="8", eventType="made")

    assert ("7", "8") == (
        _read(Service(), event, Service()).id,
        _read({"a": 1}, background, Service()).id,
    )


def test_flasks_proxy_is_the_request():
    """``flask.request`` may be passed as an argument."""
    app = flask.Flask("app")
    with app.test_request_context(headers=[EXECUTION]):
        assert _read(flask.request).id == "execution-1"
    assert _read(flask.request).id is None


def _stand_in(module: str, **members: Any) -> Any:
    return type("CloudEvent", (), {"__module__": module, **members})()


@pytest.mark.parametrize(
    "event",
    [
        _stand_in(
            "cloudevents.core.v1.event",
            get_id=lambda _: "7",
            get_type=lambda _: "made",
            get_source=lambda _: "//x",
        ),
        _stand_in("firebase_functions.core", id="7", type="made", source="//x"),
    ],
)
def test_cloud_events_of_other_libraries_are_read(event):
    """The CloudEvents of SDK 2 and of Firebase are read."""
    invocation = _read(event)

    assert invocation.id == "7"
    assert {"properties": {"type": "made", "source": "//x"}} == _context(invocation)


def test_the_remembered_types_are_bounded():
    """After many types of arguments, requests are still recognised."""
    platform = GcpCloudFunctions({"FUNCTION_TARGET": "hello"})
    for number in range(300):
        kind = type(f"T{number}", (), {})
        assert platform.read_invocation((kind(),), {}).id is None

    assert platform.read_invocation((_flask(EXECUTION),), {}).id == "execution-1"


def test_the_inspected_arguments_are_bounded():
    """Only a bounded number of arguments is inspected, the last ones first."""
    request = _flask(EXECUTION)
    more = [Service()] * 100

    assert _read(*more, request).id == "execution-1"
    assert _read(request, *more).id is None


@pytest.mark.parametrize("args", [(), (object(),), ("text",), ({"a": 1},)])
def test_other_arguments_have_no_context(args):
    """Other arguments, as those of typed functions, give no id and no context."""
    invocation = _read(*args)

    assert (invocation.id, _context(invocation)) == (None, {})


@pytest.mark.parametrize("setting", ["", "0", "soon"])
def test_the_remaining_time_is_unknown_without_a_timeout(setting):
    """Without a valid timeout the remaining time is unknown; 0 means no limit."""
    assert _read(_flask(), CLOUD_RUN_TIMEOUT_SECONDS=setting).remaining_time is None


@HTTP
def test_the_remaining_time_counts_down_from_the_timeout(request_of):
    """The remaining time decreases from the service's request timeout."""
    remaining_time = _read(request_of(), CLOUD_RUN_TIMEOUT_SECONDS="60").remaining_time

    assert remaining_time is not None
    first, second = remaining_time(), remaining_time()
    assert 60 >= first >= second > 0
