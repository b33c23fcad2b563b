"""The properties and invocations of the platform, without an instance."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import azure.functions as func
import pytest

from serverless_flags_azure_functions._invocation import client_address
from serverless_flags_azure_functions._platform import AzureFunctions

PYTHON = {"FUNCTIONS_WORKER_RUNTIME": "python"}
PRINCIPAL = {"X-MS-CLIENT-PRINCIPAL-ID": "alice"}


def make_request(headers: dict[str, str]) -> func.HttpRequest:
    """Return a request of the worker's class."""
    return func.HttpRequest(
        method="get",
        url="https://shop.azurewebsites.net/api/hello?token=secret",
        headers=headers,
        body=b"",
    )


class URL:
    """A url object, as Starlette's requests have it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def read_context(platform: AzureFunctions, *args: object, **kwargs: object) -> object:
    """Return the evaluation context of an invocation."""
    context = platform.read_invocation(args, kwargs).context
    assert callable(context)
    return context()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WEBSITE_SITE_NAME": "shop"}, "shop"),
        ({"CONTAINER_APP_NAME": "shop"}, "shop"),
        ({}, None),
    ],
)
def test_the_apps_name_is_the_platforms(environ, expected):
    """``function_name`` is the app's; Core Tools set none."""
    assert expected == AzureFunctions(environ).function_name


def test_an_invocation_has_the_contexts_identifier():
    """The id is in ``context``, if the function declares it."""
    platform = AzureFunctions(PYTHON)
    context = SimpleNamespace(invocation_id="an-id")

    with_context = platform.read_invocation((), {"req": None, "context": context})
    without = platform.read_invocation((), {"req": None})
    bound = platform.read_invocation((), {"context": "a binding of that name"})

    assert with_context.id == "an-id"
    assert without.id is bound.id is with_context.remaining_time is None


@pytest.mark.parametrize("named", [True, False])
def test_the_context_is_found_under_any_name_and_place(named):
    """The context is found under any name and at any position."""
    platform, context = AzureFunctions(PYTHON), SimpleNamespace(invocation_id="an-id")
    given = {"ctx": context} if named else {}
    places = () if named else ("text", context)

    invocation = platform.read_invocation(places, {"req": None, "db": 7, **given})

    assert invocation.id == "an-id"


def test_the_context_has_method_path_and_address():
    """The path has no query; the address is the one that the front end appended."""
    request = make_request({"X-Forwarded-For": "9.9.9.9, 203.0.113.7:50000"})

    context = read_context(AzureFunctions(PYTHON), req=request)

    expected = {
        "properties": {"method": "GET", "path": "/api/hello"},
        "remoteAddress": "203.0.113.7",
    }
    assert expected == context


def test_a_request_is_found_under_any_name():
    """The request is found under any name, next to other bindings."""
    platform, request = AzureFunctions(PYTHON), make_request({})

    by_name = read_context(platform, blob=b"", anything=request)
    by_position = read_context(platform, request)

    expected = {"properties": {"method": "GET", "path": "/api/hello"}}
    assert expected == by_name == by_position


class ClientRequest:
    """A request of an HTTP client, with the same attributes."""

    method, url, headers = "POST", "https://elsewhere/", {"x-forwarded-for": "9.9.9.9"}


def test_the_workers_request_wins_over_an_injected_one():
    """The worker's request precedes a request of a client library."""
    platform, request = AzureFunctions(PYTHON), make_request({})

    injected = read_context(platform, ClientRequest(), out=ClientRequest(), req=request)

    assert injected == {"properties": {"method": "GET", "path": "/api/hello"}}


def test_the_inspected_arguments_are_bounded():
    """Only a bounded number of arguments is inspected."""
    platform, request = AzureFunctions(PYTHON), make_request({})
    context = SimpleNamespace(invocation_id="an-id")

    invocation = platform.read_invocation((*range(100), request, context), {})

    assert invocation.id is None
    assert callable(invocation.context)
    assert invocation.context() == {}


def test_a_mocked_request_has_no_address():
    """Headers of a mock, which are no text, are ignored."""
    trusting = AzureFunctions({**PYTHON, "WEBSITE_AUTH_ENABLED": "True"})
    request = Mock(method="GET", url="https://shop/api/hello")

    context = read_context(trusting, req=request)

    assert context == {"properties": {"method": "GET", "path": "/api/hello"}}


def test_a_streamed_request_is_read_too():
    """With HTTP streaming the request is Starlette's, which has a url object."""
    request = SimpleNamespace(
        method="GET", url=URL("https://shop/api/hello?a=1"), headers={}
    )

    context = read_context(AzureFunctions(PYTHON), req=request)

    assert context == {"properties": {"method": "GET", "path": "/api/hello"}}


def test_other_triggers_have_no_context():
    """The evaluation context of other triggers is empty."""
    message = func.QueueMessage(id="1", body=b"text")

    assert read_context(AzureFunctions(PYTHON), message=message) == {}


def test_the_principal_needs_app_service_authentication():
    """The principal's header is used only with App Service authentication."""
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
    """The address is the last one, without its port; IPv6 may be in brackets."""
    assert expected == client_address(forwarded)
