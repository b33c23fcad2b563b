"""
The HTTP server of the host: its routes, its admin API and its front end.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger
and .../functions-manually-run-non-http
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from serverless_flags_azure_functions._emulator.worker.data import (
    Data,
    HttpCall,
    HttpReply,
    InvocationResult,
    decode,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serverless_flags_azure_functions._emulator.worker.data import Worker

HOST = "127.0.0.1"
_ADMIN = "/admin/functions/"


class Function:
    """A function's trigger and route, which the host reads from its bindings."""

    def __init__(
        self, name: str, bindings: Iterable[Mapping[str, Any]], prefix: str
    ) -> None:
        self.name = name
        trigger = next(b for b in bindings if b["type"].lower().endswith("trigger"))
        self.trigger: str = trigger["type"]
        self.parameter: str = trigger["name"]
        route = str(trigger.get("route", name)).strip("/")
        self.path = "/" + "/".join(part for part in (prefix, route) if part)
        self.methods = {str(method).upper() for method in trigger.get("methods") or []}
        self._pattern = re.compile(_route_pattern(self.path) + "/?$", re.IGNORECASE)

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the route's parameters, or None if the route does not match."""
        if self.trigger != "httpTrigger" or method not in (self.methods or {method}):
            return None
        match = self._pattern.match(path)
        if match is None:
            return None
        groups = match.groupdict()
        return {name: value for name, value in groups.items() if value is not None}


def _route_pattern(route: str) -> str:
    """Return a regular expression for ``/api/items/{id:int}/{tag?}/{*rest}``."""
    pattern = ""
    for segment in route.split("/")[1:]:
        parameter = re.fullmatch(r"\{(\**)(\w+)(?::[^?]*)?(\??)\}", segment)
        if parameter is None:
            pattern += f"/{re.escape(segment)}"
            continue
        rest, name, optional = parameter.groups()
        group = f"(?P<{name}>{'.*' if rest else '[^/]+'})"
        pattern += f"(?:/{group})?" if rest or optional else f"/{group}"
    return pattern


class HostServer(ThreadingHTTPServer):
    """The HTTP server that passes requests to a worker; one thread per request."""

    daemon_threads = True
    request_queue_size = 128  # with the default, 5, callers would wait for seconds

    def __init__(
        self,
        worker: Worker,
        functions: Iterable[Function],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__((HOST, 0), Handler)
        self._worker = worker
        # literal routes first, then those with parameters, then catch-all routes
        self.functions = sorted(
            functions, key=lambda f: ("{*" in f.path, "{" in f.path)
        )
        self._loop = loop

    def invoke(
        self,
        function: Function,
        inputs: Mapping[str, Data],
        metadata: Mapping[str, Data],
    ) -> InvocationResult:
        """Run an invocation on the worker's loop and return its result."""
        invocation = self._worker.invoke(function.name, inputs, metadata)
        result = asyncio.run_coroutine_threadsafe(invocation, self._loop).result()
        if result.error is not None:
            sys.stderr.write(f"{result.trace or result.error}\n")
        return result


class Handler(BaseHTTPRequestHandler):
    """The handler of one request."""

    server: HostServer

    def answer(self) -> None:
        """Invoke the function that the path names."""
        path = unquote(urlsplit(self.path).path)
        if path.startswith(_ADMIN):
            self._run_by_name(path.removeprefix(_ADMIN))
            return
        for function in self.server.functions:
            route_params = function.match(self.command, path)
            if route_params is not None:
                self._run_by_route(function, route_params)
                return
        self._reply(HttpReply(HTTPStatus.NOT_FOUND, [], b""))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815  reason: http.server's names

    def _run_by_route(self, function: Function, route_params: dict[str, str]) -> None:
        query = parse_qsl(urlsplit(self.path).query, keep_blank_values=True)
        call = HttpCall(
            method=self.command,
            url=f"http://{self.headers.get('Host', HOST)}{self.path}",
            headers=self._forwarded_headers(),
            route_params=route_params,
            query=dict(query),
            body=self._body(),
        )
        inputs = {function.parameter: Data("http", call)}
        self._reply(_http_reply(self.server.invoke(function, inputs, {})))

    def _run_by_name(self, name: str) -> None:
        """Run a function without an HTTP trigger, with the data in the request."""
        function = next((f for f in self.server.functions if f.name == name), None)
        if function is None:
            self._reply(HttpReply(HTTPStatus.NOT_FOUND, [], b""))
            return
        body = json.loads(self._body())
        inputs = {key: decode(value) for key, value in body["inputs"].items()}
        inputs[function.parameter] = decode(body["trigger"])
        metadata = {key: decode(value) for key, value in body["metadata"].items()}
        self._reply(_admin_reply(self.server.invoke(function, inputs, metadata)))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _forwarded_headers(self) -> dict[str, str]:
        """Append the caller's address and port, as App Service's front end does."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        address, port = self.client_address[:2]
        before = headers.get("x-forwarded-for")
        caller = f"{address}:{port}"
        headers["x-forwarded-for"] = f"{before}, {caller}" if before else caller
        return headers

    def _reply(self, reply: HttpReply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  reason: http.server's name
        """Log nothing: the output of the emulator is the application's."""


def _http_reply(result: InvocationResult) -> HttpReply:
    """Return the response to the caller of an HTTP function."""
    if result.error is not None:
        return HttpReply(HTTPStatus.INTERNAL_SERVER_ERROR, [], result.error.encode())
    candidates = [result.result, *result.outputs.values()]
    for data in candidates:
        if data is not None and data.kind == "http":
            reply: HttpReply = data.value
            return reply
    if result.result is None:
        return HttpReply(HTTPStatus.NO_CONTENT, [], b"")
    return HttpReply(
        HTTPStatus.OK,
        [("Content-Type", "text/plain; charset=utf-8")],
        str(result.result.value).encode(),
    )


def _admin_reply(result: InvocationResult) -> HttpReply:
    """Return the response of the admin API."""
    if result.error is not None:
        return HttpReply(HTTPStatus.INTERNAL_SERVER_ERROR, [], result.error.encode())
    value = {
        "result": _plain(result.result),
        "outputs": {name: _plain(data) for name, data in result.outputs.items()},
    }
    json_type = [("Content-Type", "application/json")]
    return HttpReply(HTTPStatus.OK, json_type, json.dumps(value).encode())


def _plain(data: Data | None) -> Any:
    """Return a value in the form that is shown in JSON."""
    if data is None or data.kind == "http":
        return None
    if data.kind == "json":
        return json.loads(data.value)
    value = data.value
    return value.decode(errors="replace") if isinstance(value, bytes) else value
