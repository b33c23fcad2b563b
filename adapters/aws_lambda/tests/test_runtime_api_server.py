"""The emulated Runtime API and Extensions API, without an instance."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags_aws_lambda._emulator.environment import Function
from serverless_flags_aws_lambda._emulator.instance_state import Call, InstanceState
from serverless_flags_aws_lambda._emulator.runtime_api_server import RuntimeApiServer

if TYPE_CHECKING:
    from collections.abc import Iterator

NEXT = "/2018-06-01/runtime/invocation/next"
REGISTER = "/2020-01-01/extension/register"
EVENT = "/2020-01-01/extension/event/next"
WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""


class Client:
    """A runtime or an extension; it opens one connection per request."""

    def __init__(self, api: RuntimeApiServer) -> None:
        self.api = api
        self.state = api.state
        self.open: list[HTTPConnection] = []

    def send(self, method: str, path: str, **options: Any) -> HTTPConnection:
        """Send a request; its response is read later."""
        connection = HTTPConnection(self.api.address, timeout=WAIT)
        self.open.append(connection)
        connection.request(method, path, **options)
        return connection

    def ask(self, method: str, path: str, **options: Any) -> tuple[HTTPResponse, Any]:
        """Send a request; return its response and the parsed body."""
        answer = self.send(method, path, **options).getresponse()
        return answer, json.loads(answer.read())

    def register(self, name: str, body: str = "{}") -> tuple[int, Any]:
        """Register; return the status, and the identifier or the error."""
        headers = {"Lambda-Extension-Name": name}
        answer, content = self.ask("POST", REGISTER, body=body, headers=headers)
        identifier = answer.headers.get("Lambda-Extension-Identifier")
        return answer.status, identifier or content["errorType"]

    def close(self) -> None:
        """Close every connection."""
        for connection in self.open:
            connection.close()


@pytest.fixture(name="client")
def _client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Yield a client of a new API server; the parameter is ``managed``."""
    managed = getattr(request, "param", False)
    state = InstanceState(workers=1, managed=managed, on_idle=lambda: None)
    api = RuntimeApiServer(state, Function("f", "module.handler"))
    client = Client(api)
    yield client
    client.close()
    api.close()


def test_event_reaches_the_runtime(client: Client) -> None:
    """The runtime receives the event, its id, its deadline and the function's ARN."""
    pending = client.send("GET", NEXT)
    call = Call(b'{"a": 1}', time.time() + 30)
    client.state.offer(call)
    answer = pending.getresponse()

    assert answer.read() == b'{"a": 1}'
    assert answer.headers["Lambda-Runtime-Aws-Request-Id"] == call.id
    assert answer.headers["Lambda-Runtime-Deadline-Ms"] == str(
        int(call.deadline * 1000)
    )
    assert answer.headers["Lambda-Runtime-Invoked-Function-Arn"].endswith(":function:f")
    assert answer.headers["Lambda-Runtime-Trace-Id"]


@pytest.mark.parametrize(("verb", "succeeded"), [("response", True), ("error", False)])
def test_chunked_answer(client: Client, verb: str, *, succeeded: bool) -> None:
    """A chunked response is accepted, and reaches the caller at once."""
    call = Call(b"{}", time.time() + 30)
    client.state.offer(call)
    client.ask("GET", NEXT)
    answer, content = client.ask(
        "POST",
        f"/2018-06-01/runtime/invocation/{call.id}/{verb}",
        body=iter([b'"chu', b'nked"']),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )

    assert (answer.status, content) == (202, {"status": "OK"})
    assert call.outcome == (succeeded, b'"chunked"')
    assert not client.state.idle


def test_answer_to_an_unknown_call(client: Client) -> None:
    """A result for an invocation that is not running is refused."""
    path = "/2018-06-01/runtime/invocation/other/response"
    answer, content = client.ask("POST", path, body="1")

    assert (answer.status, content["errorType"]) == (400, "InvalidRequestID")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/", "/2018-06-01/runtime/invocation/1/other"])
def test_other_paths(client: Client, method: str, path: str) -> None:
    """Other paths are not found."""
    answer, _ = client.ask(method, path)

    assert answer.status == 404


@pytest.mark.parametrize("phase", ["init", "restore"])
def test_failure_of_a_phase(client: Client, phase: str) -> None:
    """The first error of Init or the restore is kept, a second one is refused."""
    path = f"/2018-06-01/runtime/{phase}/error"
    first, _ = client.ask("POST", path, body='{"errorMessage": "no"}')
    second, _ = client.ask("POST", path, body="{}")

    assert (first.status, second.status) == (202, 403)
    assert client.state.failure is not None
    assert client.state.failure[1] == b'{"errorMessage": "no"}'


def test_registration(client: Client) -> None:
    """An extension may register without events; the response names the function."""
    headers = {"Lambda-Extension-Name": "x"}
    answer, content = client.ask("POST", REGISTER, body="{}", headers=headers)
    identifier = answer.headers["Lambda-Extension-Identifier"]

    assert answer.status == 200
    assert content == {
        "functionName": "f",
        "functionVersion": "$LATEST",
        "handler": "module.handler",
    }
    assert client.state.extensions[identifier].events == []


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("", "{}", "Extension.InvalidExtensionName"),
        ("x", '{"events": ["SHUTDOWN"]}', "Extension.InvalidEventType"),
        ("x", '{"events": ["INVOKE", "SHUTDOWN"]}', "Extension.InvalidEventType"),
        ("x", "", "InvalidRequestFormat"),
        ("x", "[]", "InvalidRequestFormat"),
    ],
)
def test_refused_registration(
    client: Client, name: str, body: str, expected: str
) -> None:
    """A missing name, an unsupported event and malformed JSON are refused."""
    assert (403, expected) == client.register(name, body)
    assert not client.state.extensions


def test_two_extensions_of_one_name(client: Client) -> None:
    """An extension's name can be registered once."""
    first, _ = client.register("x")

    assert first == 200
    assert client.register("x") == (403, "Extension.InvalidExtensionState")


def test_too_many_extensions(client: Client) -> None:
    """Ten extensions may register, an eleventh is refused."""
    statuses = [client.register(f"x{number}")[0] for number in range(10)]

    assert statuses == [200] * 10
    assert client.register("x10") == (403, "Extension.TooManyExtensions")


@pytest.mark.parametrize("path", [NEXT, "/2018-06-01/runtime/restore/next"])
def test_registration_closes(client: Client, path: str) -> None:
    """Registration closes when the runtime calls next or waits for a restore."""
    client.send("GET", path)
    client.state.wait(lambda: client.state.idle or client.state.snapshot_ready, WAIT)

    assert client.register("x") == (403, "Extension.RegistrationClosed")


@pytest.mark.parametrize("client", [True], indirect=True)
def test_managed_instance_refuses_events(client: Client) -> None:
    """On Managed Instances an internal extension can register without events only."""
    refused = client.register("x", '{"events": ["INVOKE"]}')

    assert refused == (403, "Extension.InvalidEventType")
    assert client.register("x", '{"events": []}')[0] == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "Extension.MissingExtensionIdentifier"),
        (
            {"Lambda-Extension-Identifier": "other"},
            "Extension.UnknownExtensionIdentifier",
        ),
    ],
)
def test_event_for_an_unknown_extension(
    client: Client, headers: dict[str, str], expected: str
) -> None:
    """Only a registered extension may request an event."""
    answer, content = client.ask("GET", EVENT, headers=headers)

    assert (answer.status, content["errorType"]) == (403, expected)


def test_second_next_while_one_is_pending(client: Client) -> None:
    """An extension cannot request an event while its last request is pending."""
    _, identifier = client.register("x")
    headers = {"Lambda-Extension-Identifier": identifier}
    client.send("GET", EVENT, headers=headers).close()
    client.state.wait(lambda: client.state.extensions[identifier].waiting, WAIT)
    answer, content = client.ask("GET", EVENT, headers=headers)

    assert answer.status == 403
    assert content["errorType"] == "Extension.InvalidExtensionState"


def test_init_ends_when_all_have_called_next(client: Client) -> None:
    """Init waits for every extension, even for one without events."""
    state = client.state
    _, identifier = client.register("x", '{"events": []}')
    client.send("GET", NEXT)
    before = state.wait(lambda: state.idle, 0.1)
    client.send("GET", EVENT, headers={"Lambda-Extension-Identifier": identifier})

    assert not before
    assert state.wait(lambda: state.idle, WAIT)


def test_invocation_ends_when_subscribers_have_called_next(client: Client) -> None:
    """An INVOKE extension gets the event too, and the phase lasts until it is done."""
    state = client.state
    headers = {
        "Lambda-Extension-Identifier": client.register("x", '{"events": ["INVOKE"]}')[1]
    }
    client.register("quiet", '{"events": []}')
    event = client.send("GET", EVENT, headers=headers)
    call = Call(b"{}", time.time() + 30)
    state.offer(call)
    received = json.loads(event.getresponse().read())
    client.ask("GET", NEXT)
    client.ask("POST", f"/2018-06-01/runtime/invocation/{call.id}/response", body="1")
    client.send("GET", NEXT)

    assert received["eventType"] == "INVOKE"
    assert received["requestId"] == call.id
    assert received["deadlineMs"] == int(call.deadline * 1000)
    assert not state.extensions_ready


def test_snapshot_and_restore(client: Client) -> None:
    """The runtime waits at the snapshot until it is restored."""
    pending = client.send("GET", "/2018-06-01/runtime/restore/next")
    at_snapshot = client.state.wait(lambda: client.state.snapshot_ready, WAIT)
    client.state.restore()

    assert at_snapshot
    assert pending.getresponse().status == 200


def test_pending_requests_end_with_the_instance(client: Client) -> None:
    """When an instance ends, no thread is left that waits for an event."""
    state = client.state
    client.send("GET", NEXT)
    state.wait(lambda: state.idle, WAIT)
    before = threading.active_count()
    state.end()

    assert state.wait(lambda: threading.active_count() < before, WAIT)
