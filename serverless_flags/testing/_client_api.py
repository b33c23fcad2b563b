"""Unleash's client API over a flag state: features, register, metrics."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge

from serverless_flags.testing.flag_counts import FlagCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from serverless_flags.testing.flag_state import FlagState

MAX_BODY = 1_000_000
"""Bytes that the body of a request may have."""

MAX_RECORDED = 10_000
"""Requests that are kept; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that the server has answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By name in lower case; the token is hidden."""
    body: bytes
    query: str
    status: int
    """The status of the answer."""


class ClientApi:
    """The WSGI application; from any thread."""

    def __init__(self, state: FlagState, token: str) -> None:
        self.counts = FlagCounts()
        self.requests: deque[Recorded] = deque(maxlen=MAX_RECORDED)
        self._state = state
        self._token = token
        self._lock = threading.Lock()
        self._routes = {
            ("GET", "/api/client/features"): self._features,
            ("POST", "/api/client/register"): self._register,
            ("POST", "/api/client/metrics"): self._metrics,
        }

    def set(self, name: str, *, enabled: bool) -> None:
        """Turn a flag on or off for the next fetch."""
        with self._lock:
            self._state.reload()
            self._state.set(name, enabled=enabled)

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = MAX_BODY
        try:
            body = request.get_data()
        except RequestEntityTooLarge:
            body, response = b"", _failure(413, f"a body has at most {MAX_BODY} bytes")
            response.headers["Connection"] = "close"  # the rest of it is unread
        else:
            response = self._answer(request, body)
        self._record(request, body, response)
        return response(environ, start_response)

    def _answer(self, request: Request, body: bytes) -> Response:
        route = self._routes.get((request.method, request.path))
        if route is None:
            return _failure(404, f"there is no {request.method} {request.path}")
        token = request.headers.get("Authorization", "")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return _failure(401, "the Authorization header has not this server's token")
        try:
            return route(request, body)
        except ValueError as error:
            return _failure(400, str(error))

    def _features(self, request: Request, _body: bytes) -> Response:
        with self._lock:
            self._state.reload()
            flags = self._state.of_projects(request.args.getlist("project"))
            content = json.dumps(flags).encode()
        etag = hashlib.sha256(content).hexdigest()[:32]
        if request.if_none_match.contains_weak(etag):
            return Response(status=304)  # without an ETag, as Unleash 8 answers
        response = Response(content, mimetype="application/json")
        response.set_etag(etag, weak=True)
        response.vary.add("Accept-Encoding")
        if request.accept_encodings.quality("gzip") > 0:
            response.set_data(gzip.compress(content))
            response.content_encoding = "gzip"
        return response

    def _register(self, _request: Request, body: bytes) -> Response:
        json.loads(body)
        return Response(status=202)

    def _metrics(self, _request: Request, body: bytes) -> Response:
        self.counts.add(json.loads(body))
        return Response(status=202)

    def _record(self, request: Request, body: bytes, response: Response) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if "authorization" in headers:
            headers["authorization"] = "***"
        query = request.query_string.decode()
        self.requests.append(
            Recorded(
                request.method, request.path, headers, body, query, response.status_code
            )
        )


def _failure(status: int, message: str) -> Response:
    content = json.dumps({"message": message})
    return Response(content, status, mimetype="application/json")
