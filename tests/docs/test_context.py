"""The tables of docs/reference/context.md, row by row against the adapters."""

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
"""What a row names as a source, to its value."""

AWS = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "AWS_LAMBDA_FUNCTION_NAME": "hello"}
AZURE = {"FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_AUTH_ENABLED": "true"}
GOOGLE = {"FUNCTION_TARGET": "hello"}


def told(platform: Platform | None, *args: object, **kwargs: object) -> dict[str, Any]:
    """Return what a platform tells of an invocation, properties beside the rest."""
    assert platform is not None
    context = Plugins(platform, [], object).read_invocation(args, kwargs).context
    found = dict(context() if callable(context) else context)
    properties = found.pop("properties", {})
    return found | {f"properties.{name}": value for name, value in properties.items()}


def told_by_lambda(kind: str, sources: Sources) -> dict[str, Any]:
    """Build the event that has these paths, and is recognised by ``kind``."""
    event: dict[str, Any] = {}
    for path, value in {kind: None, **sources}.items():
        *outer, last = path.split(".")
        inner = event
        for key in outer:
            inner = inner.setdefault(key, {})
        in_list = path in {"identity.sourceIp", "multiValueHeaders.x-forwarded-for"}
        inner[last] = {} if value is None else [value] if in_list else value
    return told(aws_lambda.detect_platform(AWS), event, None)


def told_by_google(kind: str, sources: Sources) -> dict[str, Any]:
    """Build what a function of this kind gets."""
    argument = {
        "HTTP, `def`": _wsgi_request,
        "HTTP, `async def`": _asgi_request,
        "CloudEvent": lambda sources: CloudEvent(
            {"source": "s", "type": "t", **sources}
        ),
        "background": lambda sources: Context(eventType=sources["event_type"]),
    }[kind](sources)
    return told(gcp_cloud_functions.detect_platform(GOOGLE), argument)


def told_by_azure(kind: str, sources: Sources) -> dict[str, Any]:
    """Build the request."""
    method, path, headers = _request_line(sources)
    request = HttpRequest(
        method, f"https://127.0.0.1{path}?q=1", headers=headers, body=b""
    )
    assert kind == "HTTP"
    return told(azure_functions.detect_platform(AZURE), req=request)


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


TELLERS = {
    "AWS Lambda": told_by_lambda,
    "Google Cloud Functions": told_by_google,
    "Azure Functions": told_by_azure,
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


def sent(number: int, source: str) -> tuple[str, str]:
    """Return what a source is to hold, and what is to be believed of it."""
    value = f"192.0.2.{number}"
    if source in {"path", "rawPath"}:
        return f"/{value}", f"/{value}"
    forwarded = source.lower().endswith("x-forwarded-for")
    return f"203.0.113.9, {value}" if forwarded else value, value


@pytest.mark.parametrize("cloud", TELLERS)
def test_each_field_is_the_first_of_its_sources(read, cloud):
    """With all sources, then without the first, then without the first two, ..."""
    table = rows(read(PAGE), cloud)
    for kind, field, sources in table:
        values = {source: sent(n, source) for n, source in enumerate(sources, 1)}
        while sources:
            given = {source: values[source][0] for source in sources}
            believed = values[sources.pop(0)][1]
            assert believed == TELLERS[cloud](kind, given)[field], (kind, field)

    assert len(table) > 3


@pytest.mark.parametrize("cloud", TELLERS)
def test_no_field_is_left_out(read, cloud):
    """What a platform tells when all sources of one kind are there is in its table."""
    fields: dict[str, set[str]] = {}
    values: dict[str, Sources] = {}
    for kind, field, sources in rows(read(PAGE), cloud):
        fields.setdefault(kind, set()).add(field)
        given = {source: sent(1, source)[0] for source in sources}
        values.setdefault(kind, {}).update(given)

    assert fields == {k: set(TELLERS[cloud](k, v)) for k, v in values.items()}


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "True-Client-IP", "X-Azure-ClientIP", "X-Goog-Authenticated-User-ID"],
)
def test_what_anyone_can_send_is_not_believed(read, header):
    """Headers of which the page says so change nothing."""
    assert header in read(PAGE)
    lying: Mapping[str, str] = {header: "192.0.2.1"}
    silent = told_by_google("HTTP, `def`", {})

    assert silent == told(
        gcp_cloud_functions.detect_platform(GOOGLE),
        WsgiRequest(EnvironBuilder("/", headers=dict(lying)).get_environ()),
    )
    assert told_by_azure("HTTP", {}) == told_by_azure("HTTP", dict(lying))
