"""A real Unleash server, controlled through its admin API."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from serverless_flags.cli._control import FLAG
from serverless_flags.clients._unleash_api import CLIENT_SPEC
from serverless_flags.testing import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FEATURES = "/api/admin/projects/default/features"
TOKENS = "/api/admin/api-tokens"
ENVIRONMENT = "development"
TIMEOUT = 15.0
"""Seconds for a flip to be served (about 1) and for counts to be stored (about 5)."""
POLL = 0.25
"""Seconds between two requests that check for a change."""

CURES = {
    401: "pass a token for its admin API with --admin-token",
    403: "pass an --admin-token that may do this",
    409: f"there is already a flag {FLAG}, perhaps archived, and the demo changes no "
    "flag but its own: remove the flag, or use another server",
}


@dataclass(frozen=True, slots=True)
class Api:
    """The server's HTTP API, called with one token."""

    url: str
    token: str

    def call(self, purpose: str, method: str, path: str, body: Any = None) -> Any:
        """
        Send a request and return the JSON of the answer.

        Args:
            purpose: what the request does, for the error message: "create the flag".
            method: the HTTP method.
            path: the path with the query.
            body: sent as JSON, if it is not None.

        Raises:
            click.ClickException: when no server answers, or when it refuses.
        """
        return self._send(purpose, method, path, body)[0]

    def features(self) -> tuple[dict[str, bool], str | None]:
        """Return the flags that the server serves to clients, and their ETag."""
        body, etag = self._send("serve flags", "GET", "/api/client/features", None)
        return {flag["name"]: flag["enabled"] for flag in body["features"]}, etag

    def _send(
        self, purpose: str, method: str, path: str, body: Any
    ) -> tuple[Any, str | None]:
        request = urllib.request.Request(  # noqa: S310  reason: the user's own URL
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": self.token,
                "Content-Type": "application/json",
                "Unleash-Client-Spec": CLIENT_SPEC,
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  reason: the same
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                reason = CURES.get(error.code) or error.read().decode(errors="replace")
            message = f"{self.url} did not {purpose} ({error.code}): {reason}"
            raise click.ClickException(message) from error
        except OSError as error:
            message = f"no Unleash server answers at {self.url}: {error}"
            raise click.ClickException(message) from error
        return json.loads(content) if content else None, answer.headers["ETag"]


class Unleash:
    """The flag on a server; it exists while the context of `unleash` is open."""

    def __init__(self, admin: Api, token: str) -> None:
        self._admin = admin
        self._client = Api(admin.url, token)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment with which a function uses this server."""
        return {
            "UNLEASH_URL": f"{self._client.url}/api",
            "UNLEASH_API_TOKEN": self._client.token,
        }

    def set_flag(self, *, enabled: bool) -> None:
        """
        Flip the flag and wait until the server serves the new value to clients.

        For about a second the server answers from its caches, of which each kind of
        query has its own; only a new ETag shows that all of them have the flip.
        """
        flags, before = self._client.features()
        if flags.get(FLAG) is enabled:
            return
        switch = "on" if enabled else "off"
        path = f"{FEATURES}/{FLAG}/environments/{ENVIRONMENT}/{switch}"
        self._admin.call("flip the flag", "POST", path)

        def is_served() -> bool:
            flags, etag = self._client.features()
            return flags.get(FLAG) is enabled and etag != before

        if not _wait(is_served):
            message = f"the server does not serve {FLAG} {switch} in {TIMEOUT:.0f} s"
            raise click.ClickException(message)

    def wait_for_counts(self, app_name: str, total: int) -> Counts:
        """Return the counts at ``total``; the server stores them every few seconds."""
        _wait(lambda: self._counts(app_name).total >= total)
        return self._counts(app_name)

    def _counts(self, app_name: str) -> Counts:
        path = f"/api/admin/client-metrics/features/{FLAG}/raw?hoursBack=2"
        counted = [
            Counts(row["yes"], row["no"], row.get("variants") or {})
            for row in self._admin.call("show the counts", "GET", path)["data"]
            if row["appName"] == app_name
        ]
        return sum(counted, start=Counts())


@contextlib.contextmanager
def unleash(url: str, admin_token: str) -> Iterator[Unleash]:
    """
    Create the flag and a backend token on the server, and remove both.

    Args:
        url: of the server, with or without ``/api``.
        admin_token: a token for its admin API.

    Raises:
        click.ClickException: when the server refuses, or has such a flag already.
    """
    admin = Api(url.rstrip("/").removesuffix("/api"), admin_token)
    with _flag(admin), _backend_token(admin) as token:
        yield Unleash(admin, token)


@contextlib.contextmanager
def _flag(admin: Api) -> Iterator[None]:
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": "100", "stickiness": "default", "groupId": FLAG},
    }
    flag = {"name": FLAG, "type": "release"}
    admin.call("create the flag", "POST", FEATURES, flag)
    try:
        path = f"{FEATURES}/{FLAG}/environments/{ENVIRONMENT}/strategies"
        admin.call("add a strategy", "POST", path, strategy)
        yield
    finally:
        admin.call("archive the flag", "DELETE", f"{FEATURES}/{FLAG}")
        admin.call("remove the flag", "DELETE", f"/api/admin/archive/{FLAG}")


@contextlib.contextmanager
def _backend_token(admin: Api) -> Iterator[str]:
    wanted = {
        "tokenName": "serverless-flags-demo",
        "type": "backend",
        "environment": ENVIRONMENT,
        "projects": ["default"],
    }
    token = admin.call("create a backend token", "POST", TOKENS, wanted)["secret"]
    try:
        yield token
    finally:
        admin.call("remove the backend token", "DELETE", f"{TOKENS}/{token}")


def _wait(condition: Callable[[], bool]) -> bool:
    """Check until the condition holds; return False after `TIMEOUT`."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
