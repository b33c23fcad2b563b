"""What the adapter tells without an instance: detection, facts, requests."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import azure.functions as func
import pytest

import serverless_flags_azure_functions as doorbell
from serverless_flags_azure_functions._platform import AzureFunctions
from serverless_flags_azure_functions._invocation import client_address

PYTHON = {"FUNCTIONS_WORKER_RUNTIME": "python"}
PRINCIPAL = {"X-MS-CLIENT-PRINCIPAL-ID": "alice"}


def make_request(headers: dict[str, str]) -> func.HttpRequest:
    """Return a request as the worker makes it."""
    return func.HttpRequest(
        method="get",
        url="https://shop.azurewebsites.net/api/hello?token=secret",
        headers=headers,
        body=b"",
    )


class URL:
    """What Starlette gives for a url."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def read_context(platform: AzureFunctions, *args: object, **kwargs: object) -> object:
    """Return the evaluation context of an invocation."""
    context = platform.read_invocation(args, kwargs).context
    assert callable(context)
    return context()


@pytest.mark.parametrize("value", ["python", "Python"])
def test_the_python_worker_is_recognised(value):
    """The host compares the setting without regard to case, and so do we."""
    platform = doorbell.detect_platform({"FUNCTIONS_WORKER_RUNTIME": value})

    assert isinstance(platform, AzureFunctions)
    assert platform.name == "azure_functions"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"FUNCTIONS_WORKER_RUNTIME": "node"},
        {"WEBSITE_SITE_NAME": "a-web-app", "WEBSITE_INSTANCE_ID": "1"},
        {"FUNCTION_TARGET": "hello", "K_SERVICE": "hello"},
    ],
)
def test_other_processes_are_not(environ):
    """A web app, another language and another cloud are not ours."""
    assert doorbell.detect_platform(environ) is None


def test_the_doorbell_imports_no_room():
    """Asked on another cloud, the adapter costs one small module."""
    code = (
        "import sys, serverless_flags_azure_functions as doorbell\n"
        "assert doorbell.detect_platform({}) is None\n"
        "assert doorbell.emulate('other', '', {}, '', {}) is None\n"
        "names = [n for n in sys.modules if n.startswith(doorbell.__name__)]\n"
        "assert names == [doorbell.__name__], names\n"
        "assert 'asyncio' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WEBSITE_SITE_NAME": "shop"}, "shop"),
        ({"CONTAINER_APP_NAME": "shop"}, "shop"),
        ({}, None),
    ],
)
def test_the_apps_name_is_the_platforms(environ, expected):
    """Core Tools give none."""
    assert expected == AzureFunctions(environ).function_name


def test_an_invocation_has_the_contexts_identifier():
    """Only functions that declare ``context`` are given it."""
    platform = AzureFunctions(PYTHON)
    context = SimpleNamespace(invocation_id="an-id")

    with_context = platform.read_invocation((), {"req": None, "context": context})
    without = platform.read_invocation((), {"req": None})
    bound = platform.read_invocation((), {"context": "a binding of that name"})

    assert with_context.id == "an-id"
    assert without.id is bound.id is with_context.remaining_time is None


@pytest.mark.parametrize("named", [True, False])
def test_the_context_is_found_under_any_name_and_place(named):
    """Decorators may inject arguments, rename the context or hand it on by place."""
    platform, context = AzureFunctions(PYTHON), SimpleNamespace(invocation_id="an-id")
    given = {"ctx": context} if named else {}
    places = () if named else ("text", context)

    invocation = platform.read_invocation(places, {"req": None, "db": 7, **given})

    assert invocation.id == "an-id"


def test_a_request_tells_method_path_and_address():
    """The query stays out of it; the address is the one that the front end saw."""
    request = make_request({"X-Forwarded-For": "9.9.9.9, 203.0.113.7:50000"})

    context = read_context(AzureFunctions(PYTHON), req=request)

    expected = {
        "properties": {"method": "GET", "path": "/api/hello"},
        "remoteAddress": "203.0.113.7",
    }
    assert expected == context


def test_a_request_is_found_under_any_name():
    """The trigger's parameter may have any name, and other bindings stand beside it."""
    platform, request = AzureFunctions(PYTHON), make_request({})

    by_name = read_context(platform, blob=b"", anything=request)
    by_position = read_context(platform, request)

    expected = {"properties": {"method": "GET", "path": "/api/hello"}}
    assert expected == by_name == by_position


class ClientRequest:
    """A request that an HTTP client would send: the same attributes, another thing."""

    method, url, headers = "POST", "https://elsewhere/", {"x-forwarded-for": "9.9.9.9"}


def test_the_workers_request_wins_over_an_injected_one():
    """What a client library calls a request is not the caller's."""
    platform, request = AzureFunctions(PYTHON), make_request({})

    injected = read_context(platform, ClientRequest(), out=ClientRequest(), req=request)

    assert injected == {"properties": {"method": "GET", "path": "/api/hello"}}


def test_only_a_few_arguments_are_looked_at():
    """However many arguments there are, an invocation costs the same."""
    platform, request = AzureFunctions(PYTHON), make_request({})
    context = SimpleNamespace(invocation_id="an-id")

    invocation = platform.read_invocation((*range(100), request, context), {})

    assert invocation.id is None
    assert callable(invocation.context)
    assert invocation.context() == {}


def test_a_mocked_request_has_no_address():
    """A unit test may give a mock: what is no text is not believed."""
    trusting = AzureFunctions({**PYTHON, "WEBSITE_AUTH_ENABLED": "True"})
    request = Mock(method="GET", url="https://shop/api/hello")

    context = read_context(trusting, req=request)

    assert context == {"properties": {"method": "GET", "path": "/api/hello"}}


def test_a_streamed_request_is_read_too():
    """With the worker's HTTP streaming it is Starlette's, whose url is an object."""
    request = SimpleNamespace(
        method="GET", url=URL("https://shop/api/hello?a=1"), headers={}
    )

    context = read_context(AzureFunctions(PYTHON), req=request)

    assert context == {"properties": {"method": "GET", "path": "/api/hello"}}


def test_other_triggers_tell_nothing():
    """A message says nothing of who asks."""
    message = func.QueueMessage(id="1", body=b"text")

    assert read_context(AzureFunctions(PYTHON), message=message) == {}


def test_the_principal_needs_app_service_authentication():
    """Without it the header is whatever a client sends."""
    request = make_request(PRINCIPAL)
    trusting = AzureFunctions({**PYTHON, "WEBSITE_AUTH_ENABLED": "True"})

    assert read_context(trusting, req=request)["userId"] == "alice"
    assert "userId" not in read_context(AzureFunctions(PYTHON), req=request)


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("203.0.113.7:50000", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("9.9.9.9,10.0.0.1, 203.0.113.7:1", "203.0.113.7"),
        ("[2001:db8::7]:50000", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("", ""),
    ],
)
def test_the_last_address_is_the_callers(forwarded, expected):
    """App Service appends ``address:port``; IPv6 stands in brackets."""
    assert expected == client_address(forwarded)
