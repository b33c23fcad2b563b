"""
The host's part, as far as a caller sees it: routes, the admin API, the front end.

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
    Outcome,
    decode,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serverless_flags_azure_functions._emulator.worker.data import Worker

HOST = "127.0.0.1"
_ADMIN = "/admin/functions/"


class Function:
    """A function as the host knows it: its trigger, its route."""

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
        """Return the route's parameters when a request is for this function."""
        if self.trigger != "httpTrigger" or method not in (self.methods or {method}):
            return None
        match = self._pattern.match(path)
        if match is None:
            return None
        groups = match.groupdict()
        return {name: value for name, value in groups.items() if value is not None}


def _route_pattern(route: str) -> str:
    """Translate ``/api/items/{id:int}/{tag?}/{*rest}`` into a regular expression."""
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


class Front(ThreadingHTTPServer):
    """The HTTP server in front of a worker; one thread for each request."""

    daemon_threads = True
    request_queue_size = 128  # with 5, as is the default, callers wait for seconds

    def __init__(
        self,
        worker: Worker,
        functions: Iterable[Function],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__((HOST, 0), Handler)
        self._worker = worker
        # literal routes before parameters, a catch-all last
        self.functions = sorted(
            functions, key=lambda f: ("{*" in f.path, "{" in f.path)
        )
        self._loop = loop

    def invoke(
        self,
        function: Function,
        inputs: Mapping[str, Data],
        metadata: Mapping[str, Data],
    ) -> Outcome:
        """Hand an invocation to the worker's loop and wait for what becomes of it."""
        invocation = self._worker.invoke(function.name, inputs, metadata)
        outcome = asyncio.run_coroutine_threadsafe(invocation, self._loop).result()
        if outcome.error is not None:
            sys.stderr.write(f"{outcome.trace or outcome.error}\n")
        return outcome


class Handler(BaseHTTPRequestHandler):
    """One request from outside."""

    server: Front

    def answer(self) -> None:
        """Find what the request is for and let the worker do it."""
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
        """Run a function that no request triggers, with the data the caller gives."""
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
        """Add the caller's address and port, as App Service's front end does."""
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
        """Stay silent: the output is the application's."""


def _http_reply(outcome: Outcome) -> HttpReply:
    """Answer the caller of an HTTP function."""
    if outcome.error is not None:
        return HttpReply(HTTPStatus.INTERNAL_SERVER_ERROR, [], outcome.error.encode())
    found = [outcome.result, *outcome.outputs.values()]
    for data in found:
        if data is not None and data.kind == "http":
            reply: HttpReply = data.value
            return reply
    if outcome.result is None:
        return HttpReply(HTTPStatus.NO_CONTENT, [], b"")
    return HttpReply(
        HTTPStatus.OK,
        [("Content-Type", "text/plain; charset=utf-8")],
        str(outcome.result.value).encode(),
    )


def _admin_reply(outcome: Outcome) -> HttpReply:
    """Tell the caller of the admin API what the function did."""
    if outcome.error is not None:
        return HttpReply(HTTPStatus.INTERNAL_SERVER_ERROR, [], outcome.error.encode())
    value = {
        "result": _plain(outcome.result),
        "outputs": {name: _plain(data) for name, data in outcome.outputs.items()},
    }
    json_type = [("Content-Type", "application/json")]
    return HttpReply(HTTPStatus.OK, json_type, json.dumps(value).encode())


def _plain(data: Data | None) -> Any:
    """Return a value as JSON shows it best."""
    if data is None or data.kind == "http":
        return None
    if data.kind == "json":
        return json.loads(data.value)
    value = data.value
    return value.decode(errors="replace") if isinstance(value, bytes) else value
