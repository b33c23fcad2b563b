"""Each row of the tables in docs/reference/context.md holds for its adapter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from azure.functions import HttpRequest
from cloudevents.http import CloudEvent
from google.cloud.functions.context import Context
from starlette.requests import Request as AsgiRequest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as WsgiRequest

import serverless_flags_aws_lambda as aws_lambda
import serverless_flags_azure_functions as azure_functions
import serverless_flags_gcp_cloud_functions as gcp_cloud_functions
from serverless_flags._plugins.dispatch import Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serverless_flags import Platform

PAGE = "docs/reference/context.md"

Sources = dict[str, str]
"""The sources that a row names, with their values."""

AWS = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "AWS_LAMBDA_FUNCTION_NAME": "hello"}
AZURE = {"FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_AUTH_ENABLED": "true"}
GOOGLE = {"FUNCTION_TARGET": "hello"}


def context_of(
    platform: Platform | None, *args: object, **kwargs: object
) -> dict[str, Any]:
    """Return a platform's evaluation context, with its properties flattened."""
    assert platform is not None
    context = Plugins(platform, [], object).read_invocation(args, kwargs).context
    found = dict(context() if callable(context) else context)
    properties = found.pop("properties", {})
    return found | {f"properties.{name}": value for name, value in properties.items()}


def context_on_lambda(kind: str, sources: Sources) -> dict[str, Any]:
    """Return the context of an event with these paths, recognised by ``kind``."""
    event: dict[str, Any] = {}
    for path, value in {kind: None, **sources}.items():
        *outer, last = path.split(".")
        inner = event
        for key in outer:
            inner = inner.setdefault(key, {})
        in_list = path in {"identity.sourceIp", "multiValueHeaders.x-forwarded-for"}
        inner[last] = {} if value is None else [value] if in_list else value
    return context_of(aws_lambda.detect_platform(AWS), event, None)


def context_on_google(kind: str, sources: Sources) -> dict[str, Any]:
    """Return the context of a call of a function of this kind."""
    argument = {
        "HTTP, `def`": _wsgi_request,
        "HTTP, `async def`": _asgi_request,
        "CloudEvent": lambda sources: CloudEvent(
            {"source": "s", "type": "t", **sources}
        ),
        "background": lambda sources: Context(eventType=sources["event_type"]),
    }[kind](sources)
    return context_of(gcp_cloud_functions.detect_platform(GOOGLE), argument)


def context_on_azure(kind: str, sources: Sources) -> dict[str, Any]:
    """Return the context of a request with these sources."""
    method, path, headers = _request_line(sources)
    request = HttpRequest(
        method, f"https://127.0.0.1{path}?q=1", headers=headers, body=b""
    )
    assert kind == "HTTP"
    return context_of(azure_functions.detect_platform(AZURE), req=request)


def _request_line(sources: Sources) -> tuple[str, str, dict[str, str]]:
    headers = {name: value for name, value in sources.items() if name[0] == "X"}
    return sources.get("method", "GET"), sources.get("path", "/"), headers


def _wsgi_request(sources: Sources) -> WsgiRequest:
    method, path, headers = _request_line(sources)
    environ = EnvironBuilder(path, method=method, headers=headers).get_environ()
    del environ["SERVER_NAME"]
    peer = {name: sources[name] for name in ("REMOTE_ADDR",) if name in sources}
    return WsgiRequest({**environ, **peer})


def _asgi_request(sources: Sources) -> AsgiRequest:
    method, path, headers = _request_line(sources)
    peer = sources.get("REMOTE_ADDR")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": (peer, 1234) if peer else None,
    }
    return AsgiRequest(scope)


CONTEXTS = {
    "AWS Lambda": context_on_lambda,
    "Google Cloud Functions": context_on_google,
    "Azure Functions": context_on_azure,
}


def rows(text: str, cloud: str) -> list[tuple[str, str, list[str]]]:
    """Return the kind, the field and the sources of each row of a cloud's table."""
    sections = re.split(r"(?m)^## (.*)$", text)
    table = sections[sections.index(cloud) + 1]
    found: list[tuple[str, str, list[str]]] = []
    for line in table[table.index("\n| ---") + 1 :].splitlines()[1:]:
        if not line.startswith("|"):
            break
        name, *recognised, field, cell = (c.strip() for c in line.strip("|").split("|"))
        kind = recognised[0].strip("`") if recognised else name or found[-1][0]
        sources = re.findall(r"`([^`]*)`", cell.partition(", where")[0])
        found.append((kind, field.strip("`"), sources))
    return found


def value_of(number: int, source: str) -> tuple[str, str]:
    """Return the value of a source, and the part of it that the adapter must use."""
    value = f"192.0.2.{number}"
    if source in {"path", "rawPath"}:
        return f"/{value}", f"/{value}"
    forwarded = source.lower().endswith("x-forwarded-for")
    return f"203.0.113.9, {value}" if forwarded else value, value


@pytest.mark.parametrize("cloud", CONTEXTS)
def test_each_field_is_the_first_of_its_sources(read, cloud):
    """A field comes from the first source of its row that the call has."""
    table = rows(read(PAGE), cloud)
    for kind, field, sources in table:
        values = {source: value_of(n, source) for n, source in enumerate(sources, 1)}
        while sources:
            given = {source: values[source][0] for source in sources}
            used = values[sources.pop(0)][1]
            assert used == CONTEXTS[cloud](kind, given)[field], (kind, field)

    assert len(table) > 3


@pytest.mark.parametrize("cloud", CONTEXTS)
def test_no_field_is_left_out(read, cloud):
    """The table has every field of a context in which all sources are present."""
    fields: dict[str, set[str]] = {}
    values: dict[str, Sources] = {}
    for kind, field, sources in rows(read(PAGE), cloud):
        fields.setdefault(kind, set()).add(field)
        given = {source: value_of(1, source)[0] for source in sources}
        values.setdefault(kind, {}).update(given)

    assert fields == {k: set(CONTEXTS[cloud](k, v)) for k, v in values.items()}


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "True-Client-IP", "X-Azure-ClientIP", "X-Goog-Authenticated-User-ID"],
)
def test_what_anyone_can_send_is_not_used(read, header):
    """The headers that the page names as untrusted do not change the context."""
    assert header in read(PAGE)
    lying: Mapping[str, str] = {header: "192.0.2.1"}
    silent = context_on_google("HTTP, `def`", {})

    assert silent == context_of(
        gcp_cloud_functions.detect_platform(GOOGLE),
        WsgiRequest(EnvironBuilder("/", headers=dict(lying)).get_environ()),
    )
    assert context_on_azure("HTTP", {}) == context_on_azure("HTTP", dict(lying))
