"""A running flag server, and a client that keeps its connection."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags.testing import FlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Answer:
    """An answer, read completely."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def enabled(self) -> dict[str, bool]:
        """The flags of a features body."""
        features = json.loads(self.body)["features"]
        return {feature["name"]: feature["enabled"] for feature in features}


class Client:
    """A client of Unleash's client API."""

    FEATURES = "/api/client/features"
    REGISTER = "/api/client/register"
    METRICS = "/api/client/metrics"

    def __init__(self, server: FlagServer) -> None:
        self.server = server
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=10
        )

    @property
    def local_port(self) -> int:
        return int(self.connection.sock.getsockname()[1])

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, with the server's token unless the headers have one."""
        sent = {"Authorization": self.server.token, **(headers or {})}
        self.connection.request(method, path, body, sent)
        return Answer(self.connection.getresponse())

    def fetch(self, query: str = "", **headers: str) -> Answer:
        """Fetch the flags; headers' names have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", self.FEATURES + query, headers=named)

    def post(self, path: str, body: bytes) -> Answer:
        return self.request("POST", path, body)

    def count(self, app_name: str = "app", **toggles: Any) -> Answer:
        """Send a bucket of counts."""
        return self.post(self.METRICS, self.bucket(app_name, **toggles))

    @staticmethod
    def bucket(app_name: str = "app", **toggles: Any) -> bytes:
        """Return the body of a metrics request."""
        now = "2026-01-01T00:00:00.000Z"
        bucket = {"start": now, "stop": now, "toggles": toggles}
        return json.dumps({"appName": app_name, "bucket": bucket}).encode()


@pytest.fixture(name="server")
def _server() -> Iterator[FlagServer]:
    with FlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="client")
def _client(server: FlagServer) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.connection.close()
