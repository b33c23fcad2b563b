"""The emulated Runtime API and Extensions API, over HTTP, without an instance."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags_aws_lambda._environment import Function
from serverless_flags_aws_lambda._lifecycle import Call, Lifecycle
from serverless_flags_aws_lambda._runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Iterator

NEXT = "/2018-06-01/runtime/invocation/next"
REGISTER = "/2020-01-01/extension/register"
EVENT = "/2020-01-01/extension/event/next"
WAIT = 10.0
"""Seconds; a bound against hanging only."""


class Client:
    """What a runtime or an extension does, one connection per request."""

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api
        self.lifecycle = api.lifecycle
        self.open: list[HTTPConnection] = []

    def send(self, method: str, path: str, **options: Any) -> HTTPConnection:
        """Send a request and leave its answer for later."""
        connection = HTTPConnection(self.api.address, timeout=WAIT)
        self.open.append(connection)
        connection.request(method, path, **options)
        return connection

    def ask(self, method: str, path: str, **options: Any) -> tuple[HTTPResponse, Any]:
        """Send a request; return its answer and the JSON in it."""
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
    """Yield a client of an API of its own; the parameter says if it is managed."""
    managed = getattr(request, "param", False)
    lifecycle = Lifecycle(workers=1, managed=managed, on_idle=lambda: None)
    api = RuntimeApi(lifecycle, Function("f", "module.handler"))
    client = Client(api)
    yield client
    client.close()
    api.close()


def test_event_reaches_the_runtime(client: Client) -> None:
    """The runtime gets the event, its id, its deadline and the function's ARN."""
    pending = client.send("GET", NEXT)
    call = Call(b'{"a": 1}', time.time() + 30)
    client.lifecycle.offer(call)
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
    """An answer may come in chunks; the caller has it as soon as it is posted."""
    call = Call(b"{}", time.time() + 30)
    client.lifecycle.offer(call)
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
    assert not client.lifecycle.idle


def test_answer_to_an_unknown_call(client: Client) -> None:
    """A result for a call that is not running is refused."""
    path = "/2018-06-01/runtime/invocation/other/response"
    answer, content = client.ask("POST", path, body="1")

    assert (answer.status, content["errorType"]) == (400, "InvalidRequestID")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/", "/2018-06-01/runtime/invocation/1/other"])
def test_other_paths(client: Client, method: str, path: str) -> None:
    """There is nothing else."""
    answer, _ = client.ask(method, path)

    assert answer.status == 404


@pytest.mark.parametrize("phase", ["init", "restore"])
def test_failure_of_a_phase(client: Client, phase: str) -> None:
    """An error of Init or of the restoration is kept; the second one is refused."""
    path = f"/2018-06-01/runtime/{phase}/error"
    first, _ = client.ask("POST", path, body='{"errorMessage": "no"}')
    second, _ = client.ask("POST", path, body="{}")

    assert (first.status, second.status) == (202, 403)
    assert client.lifecycle.failure is not None
    assert client.lifecycle.failure[1] == b'{"errorMessage": "no"}'


def test_registration(client: Client) -> None:
    """An extension learns whom it serves; the registration without events is one."""
    headers = {"Lambda-Extension-Name": "x"}
    answer, content = client.ask("POST", REGISTER, body="{}", headers=headers)
    identifier = answer.headers["Lambda-Extension-Identifier"]

    assert answer.status == 200
    assert content == {
        "functionName": "f",
        "functionVersion": "$LATEST",
        "handler": "module.handler",
    }
    assert client.lifecycle.extensions[identifier].events == []


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
    """No name, an event that is not for internal extensions, no JSON: 403."""
    assert (403, expected) == client.register(name, body)
    assert not client.lifecycle.extensions


def test_two_extensions_of_one_name(client: Client) -> None:
    """A name is taken once."""
    first, _ = client.register("x")

    assert first == 200
    assert client.register("x") == (403, "Extension.InvalidExtensionState")


def test_too_many_extensions(client: Client) -> None:
    """Ten may register, the eleventh not."""
    statuses = [client.register(f"x{number}")[0] for number in range(10)]

    assert statuses == [200] * 10
    assert client.register("x10") == (403, "Extension.TooManyExtensions")


@pytest.mark.parametrize("path", [NEXT, "/2018-06-01/runtime/restore/next"])
def test_registration_closes(client: Client, path: str) -> None:
    """Nobody registers once the runtime has called next, or waits for a restore."""
    client.send("GET", path)
    client.lifecycle.wait(
        lambda: client.lifecycle.idle or client.lifecycle.snapshot_ready, WAIT
    )

    assert client.register("x") == (403, "Extension.RegistrationClosed")


@pytest.mark.parametrize("client", [True], indirect=True)
def test_managed_instance_refuses_events(client: Client) -> None:
    """On Managed Instances an internal extension may want no event at all."""
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
def test_event_for_nobody(
    client: Client, headers: dict[str, str], expected: str
) -> None:
    """Only a registered extension may ask for an event."""
    answer, content = client.ask("GET", EVENT, headers=headers)

    assert (answer.status, content["errorType"]) == (403, expected)


def test_second_next_while_one_is_pending(client: Client) -> None:
    """An extension that gave up waiting cannot ask again: the API still waits."""
    _, identifier = client.register("x")
    headers = {"Lambda-Extension-Identifier": identifier}
    client.send("GET", EVENT, headers=headers).close()
    client.lifecycle.wait(lambda: client.lifecycle.extensions[identifier].waiting, WAIT)
    answer, content = client.ask("GET", EVENT, headers=headers)

    assert answer.status == 403
    assert content["errorType"] == "Extension.InvalidExtensionState"


def test_init_ends_when_all_have_called_next(client: Client) -> None:
    """Init waits for every extension, also for one that wants no events."""
    lifecycle = client.lifecycle
    _, identifier = client.register("x", '{"events": []}')
    client.send("GET", NEXT)
    before = lifecycle.wait(lambda: lifecycle.idle, 0.1)
    client.send("GET", EVENT, headers={"Lambda-Extension-Identifier": identifier})

    assert not before
    assert lifecycle.wait(lambda: lifecycle.idle, WAIT)


def test_invocation_ends_when_subscribers_have_called_next(client: Client) -> None:
    """An INVOKE subscriber gets the event too, and the phase lasts until it is done."""
    lifecycle = client.lifecycle
    headers = {
        "Lambda-Extension-Identifier": client.register("x", '{"events": ["INVOKE"]}')[1]
    }
    client.register("quiet", '{"events": []}')
    event = client.send("GET", EVENT, headers=headers)
    call = Call(b"{}", time.time() + 30)
    lifecycle.offer(call)
    received = json.loads(event.getresponse().read())
    client.ask("GET", NEXT)
    client.ask("POST", f"/2018-06-01/runtime/invocation/{call.id}/response", body="1")
    client.send("GET", NEXT)

    assert received["eventType"] == "INVOKE"
    assert received["requestId"] == call.id
    assert received["deadlineMs"] == int(call.deadline * 1000)
    assert not lifecycle.extensions_ready


def test_snapshot_and_restore(client: Client) -> None:
    """The runtime waits at the snapshot point until it is restored."""
    pending = client.send("GET", "/2018-06-01/runtime/restore/next")
    at_snapshot = client.lifecycle.wait(lambda: client.lifecycle.snapshot_ready, WAIT)
    client.lifecycle.restore()

    assert at_snapshot
    assert pending.getresponse().status == 200


def test_closing_lets_go_of_those_who_wait(client: Client) -> None:
    """The end of an instance leaves no thread behind that waits for an event."""
    lifecycle = client.lifecycle
    client.send("GET", NEXT)
    lifecycle.wait(lambda: lifecycle.idle, WAIT)
    before = threading.active_count()
    lifecycle.end()

    assert lifecycle.wait(lambda: threading.active_count() < before, WAIT)
