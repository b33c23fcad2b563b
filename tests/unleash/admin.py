"""What the tests ask of Unleash's admin API, as its user interface would."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from serverless_flags.testing import Counts

if TYPE_CHECKING:
    from collections.abc import Callable

FEATURES = "/api/admin/projects/default/features"


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin API of a server."""

    url: str
    token: str

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Send a request, whatever it is answered."""
        headers = {"Authorization": self.token, "Unleash-Client-Spec": "6.1.0"}
        return requests.request(
            method, self.url + path, json=body, headers=headers, timeout=30
        )

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that must succeed and return its JSON."""
        answer = self.call(method, path, body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def create_flag(self, name: str) -> None:
        """Create a flag that is off, and for everybody when it is on."""
        self.done("POST", FEATURES, {"name": name, "type": "release"})
        strategy = {"name": "flexibleRollout", "parameters": {"rollout": "100"}}
        path = f"{FEATURES}/{name}/environments/development/strategies"
        self.done("POST", path, strategy)

    def remove_flag(self, name: str) -> None:
        """Remove a flag for ever."""
        self.done("DELETE", f"{FEATURES}/{name}")
        self.done("DELETE", f"/api/admin/archive/{name}")

    def create_token(self) -> str:
        """Create a token for functions."""
        wanted = {
            "tokenName": "tests",
            "type": "backend",
            "environment": "development",
            "projects": ["default"],
        }
        return str(self.done("POST", "/api/admin/api-tokens", wanted)["secret"])

    def switch(self, name: str, to: str, *, token: str) -> float:
        """
        Turn a flag ``on`` or ``off``; return when every client was served it so.

        The server remembers its answers by revision and kind of query, and looks for
        a new revision once a second: the new state must come with a new ETag.
        """
        client = Admin(self.url, token)
        _, before = client.features()
        self.done("POST", f"{FEATURES}/{name}/environments/development/{to}")

        def is_served() -> bool:
            flags, etag = client.features()
            return flags.get(name) is (to == "on") and etag != before

        wait_for(is_served)
        return time.monotonic()

    def features(self) -> tuple[dict[str, bool], str]:
        """Return the flags as this token's clients are served them, and their ETag."""
        answer = self.call("GET", "/api/client/features")
        flags = answer.json()["features"]
        return {flag["name"]: flag["enabled"] for flag in flags}, answer.headers["ETag"]

    def counts(self, name: str, app_name: str) -> Counts:
        """Return what an application counted for a flag."""
        path = f"/api/admin/client-metrics/features/{name}/raw?hoursBack=2"
        counted = [
            Counts(row["yes"], row["no"])
            for row in self.done("GET", path)["data"]
            if row["appName"] == app_name
        ]
        return sum(counted, start=Counts())


def wait_for(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    """Look until the condition holds; the caller asserts it if the time is over."""
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
