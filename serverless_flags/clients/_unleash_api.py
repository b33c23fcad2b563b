"""Unleash's client API, shared by the clients of Unleash."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from serverless_flags._protocols import Fetched, Outcome, Sent
from serverless_flags.clients._identity import (
    CLIENT_SPEC,
    SDK,
    Identity,
    custom_headers,
)
from serverless_flags.clients._state_body import (
    read_snapshot,
    read_state,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serverless_flags._settings import Settings
    from serverless_flags._transport.http import HttpClient, Reply
    from serverless_flags.clients._token import CalledToken

__all__ = [
    "CLIENT_SPEC",
    "SDK",
    "Identity",
    "UnleashApi",
    "read_snapshot",
    "read_state",
]

OK = 200
NOT_MODIFIED = 304
TOKEN_REJECTED = frozenset({401, 403})
"""The statuses for an unknown token: 401 from Unleash, 403 from Unleash Edge."""

_OTHER_REASONS = frozenset({401, 404, 407, 408, 429})
"""The statuses that have nothing to do with the ETag of the request."""

_LONGEST_ETAG = 1024
_MAX_TIMEOUT = 86400.0
"""Seconds; longer timeouts overflow in locks and sockets."""


class UnleashApi:
    """Requests of one session in one process to the Unleash server."""

    def __init__(self, settings: Settings, url: str, identity: Identity) -> None:
        self._url = url
        self._opened: list[HttpClient] = []
        self._opening = threading.Lock()
        self._closed = False
        self._identity = identity
        self._refresh_ms = str(int(settings.max_age * 1000))
        self.flush_interval = 0.0
        """Seconds between flushes, which the server shows; see `Upstream`."""
        project = settings.project_name
        self._features = "/client/features" + (
            f"?project={_quoted(project)}" if project else ""
        )
        self._token: str | None = None
        self._called: CalledToken | None = None
        if callable(settings.api_token):
            from serverless_flags.clients._token import CalledToken  # only with one

            self._called = CalledToken(settings.api_token)
        else:
            self._token = settings.api_token
        self._custom = custom_headers(settings)
        self._rejected_etag: str | None = None
        self._to_register = tuple(settings.strategies) if settings.register else None
        self.engine_version = ""
        """The version of the engine, once it is imported."""

    def fetch(self, etag: str | None, *, timeout: float) -> Fetched:
        """
        Fetch the flags unless they are still those of ``etag``.

        An ETag that the server rejects is not sent again.
        """
        deadline = _deadline(timeout)
        if etag == self._rejected_etag:
            etag = None
        reply = self._get_features(etag, deadline)
        if etag and _may_reject_etag(reply.status):
            self._rejected_etag = etag
            if time.monotonic() < deadline:
                reply, etag = self._get_features(None, deadline), None
            if reply.status not in {None, OK} and etag is None:
                self._rejected_etag = None  # the ETag was not the reason
        if reply.status == NOT_MODIFIED and etag:
            return Fetched(unchanged=True, etag=etag)
        if reply.status == OK and reply.error is None:
            fetched = read_state(reply.body)
            fetched.etag = _etag_of(reply)
            return fetched
        return Fetched(error=self._complaint(reply), retry_after=_retry_after(reply))

    def _get_features(self, etag: str | None, deadline: float) -> Reply:
        extra = {"unleash-interval": self._refresh_ms}
        if etag:
            extra["If-None-Match"] = etag
        return self._ask("GET", self._features, extra, None, deadline)

    def send(
        self, bucket: Mapping[str, Any], *, timeout: float, exiting: bool = False
    ) -> Sent:
        """
        Send counts; never twice, except with a new token after a 401 or 403.

        Args:
            bucket: the counts.
            timeout: seconds for everything.
            exiting: whether the interpreter exits; then no new host name is resolved,
                and ``api_token()`` is not called.
        """
        deadline = _deadline(timeout)
        body = self._identity.metrics_payload(bucket, self.engine_version)
        extra = {"unleash-interval": str(int(self.flush_interval * 1000))}
        sent = self._post("/client/metrics", extra, body, deadline, exiting=exiting)
        if self._to_register is not None and sent.outcome == Outcome.TAKEN:
            left = deadline - time.monotonic()
            if left > 0:
                strategies, self._to_register = self._to_register, None
                self.register(strategies, timeout=left, exiting=exiting)
        return sent

    def register(
        self, strategies: Iterable[str], *, timeout: float, exiting: bool = False
    ) -> Sent:
        """
        Register this process and its custom strategies with the server.

        Called once, after the first counts were accepted, never during a cold start.
        Without it Unleash shows the application without its strategies and SDK version.
        """
        body = self._identity.register_payload(
            strategies, self.engine_version, self.flush_interval
        )
        deadline = _deadline(timeout)
        return self._post("/client/register", {}, body, deadline, exiting=exiting)

    def prepare(self, timeout: float) -> None:
        """
        Start to connect, and import what requests need meanwhile: 35 ms and 8 MB.

        Imports on the calling thread, because parallel imports are no faster.
        """
        self._open(_deadline(timeout))

    def _open(self, deadline: float, *, exiting: bool = False) -> HttpClient | None:
        """Return the HTTP client, which is made once; None when the deadline passed."""
        if self._opened:
            return self._opened[0]
        left = max(0.0, deadline - time.monotonic())
        if not self._opening.acquire(timeout=left):
            return None
        try:
            if not self._opened:
                self._opened.append(self._new_http(left, exiting=exiting))
            if self._closed:
                self._opened[0].close()
            return self._opened[0]
        finally:
            self._opening.release()

    def _new_http(self, timeout: float, *, exiting: bool) -> HttpClient:
        # late: sockets, which `import serverless_flags` does not need
        from serverless_flags._transport.connector import Connector
        from serverless_flags._transport.preconnect import Preconnect

        connector = Connector(self._url)
        preconnect = None if exiting else Preconnect(connector, timeout)
        from serverless_flags._transport.http import HttpClient  # while it connects

        return HttpClient(connector, preconnect)

    def close(self) -> None:
        """Close the idle connection, and keep none from now on."""
        self._closed = True
        for http in self._opened:
            http.close()

    def _post(
        self,
        path: str,
        extra: Mapping[str, str],
        body: bytes,
        deadline: float,
        *,
        exiting: bool,
    ) -> Sent:
        reply = self._ask("POST", path, extra, body, deadline, exiting=exiting)
        error = None if reply.outcome == Outcome.TAKEN else self._complaint(reply)
        return Sent(reply.outcome, reply.status, error, _retry_after(reply))

    def _ask(
        self,
        method: str,
        path: str,
        extra: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        *,
        exiting: bool = False,
    ) -> Reply:
        """Send a request, and once more with a new token if the server rejects it."""
        request = method, path, extra, body, deadline
        called = self._called
        if called is None:
            return self._request(self._token, *request, exiting=exiting)
        from serverless_flags.clients._token import TokenError  # loaded already

        try:
            token = called.get(deadline, exiting=exiting)
            reply = self._request(token, *request, exiting=exiting)
            if reply.status not in TOKEN_REJECTED or time.monotonic() >= deadline:
                return reply
            called.reject(token)
            renewed = called.get(deadline, exiting=exiting)
        except TokenError as error:
            return _not_sent(str(error))
        if renewed == token:
            return reply
        return self._request(renewed, *request, exiting=exiting)

    def _request(
        self,
        token: str | None,
        method: str,
        path: str,
        extra: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        *,
        exiting: bool,
    ) -> Reply:
        headers = {**self._custom, **self._identity.headers(), **extra}
        if token is not None:
            headers["Authorization"] = token
        http = self._open(deadline, exiting=exiting)
        if http is None:
            return _not_sent("the deadline passed")
        left = deadline - time.monotonic()
        return http.request(method, path, headers, body, timeout=left, exiting=exiting)

    def _complaint(self, reply: Reply) -> str:
        if reply.status is None or reply.error is not None:
            return reply.error or "no answer"
        from serverless_flags.clients._answers import complaint  # only after a failure

        token = self._token if self._called is None else self._called.last
        return complaint(
            reply.status,
            reply.headers,
            url=self._url,
            authorized=token is not None or "Authorization" in self._custom,
            secrets=(token, *self._custom.values()),
        )


def _deadline(timeout: float) -> float:
    return time.monotonic() + min(timeout, _MAX_TIMEOUT)


def _not_sent(reason: str) -> Reply:
    from serverless_flags._transport.http import Reply  # late, as `HttpClient`

    return Reply(Outcome.NOT_DELIVERED, error=reason)


def _may_reject_etag(status: int | None) -> bool:
    """Whether this status may mean that the server rejects the ETag."""
    return status is not None and 400 <= status < 500 and status not in _OTHER_REASONS  # noqa: PLR2004  reason: the class of HTTP client errors


def _etag_of(reply: Reply) -> str | None:
    """Return the ETag, unless it is too long or not printable ASCII."""
    etag = reply.headers.get("etag", "")
    usable = 0 < len(etag) <= _LONGEST_ETAG and etag.isascii() and etag.isprintable()
    return etag if usable else None


def _retry_after(reply: Reply) -> float | None:
    if "retry-after" not in reply.headers:
        return None
    from serverless_flags.clients._answers import retry_after  # only with the header

    return retry_after(reply.headers)


def _quoted(text: str) -> str:
    from urllib.parse import quote  # only with a project

    return quote(text, safe="")
