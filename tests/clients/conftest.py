"""A flag client without a session, and a state with every kind of flag."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from serverless_flags._settings import load_settings
from serverless_flags.clients._unleash_api import Identity, UnleashApi
from serverless_flags.clients.lean import LeanClient
from serverless_flags.clients.unleash import UnleashFlagClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP_NAME = "checkout"


def flexible(rollout: str, stickiness: str, group: str = "g") -> dict[str, Any]:
    parameters = {"rollout": rollout, "stickiness": stickiness, "groupId": group}
    return {"name": "flexibleRollout", "parameters": parameters, "constraints": []}


def constraint(name: str, operator: str, **rest: Any) -> dict[str, Any]:
    return {"contextName": name, "operator": operator, "values": [], **rest}


def default(*constraints: dict[str, Any], **rest: Any) -> dict[str, Any]:
    constrained = {"constraints": list(constraints), "parameters": {}}
    return {"name": "default", **constrained, **rest}


def variant(name: str, weight: int, **rest: Any) -> dict[str, Any]:
    return {"name": name, "weight": weight, "stickiness": "userId", **rest}


def state_of(*features: dict[str, Any]) -> str:
    """Return the body of ``/api/client/features``."""
    segment = {"id": 1, "constraints": [constraint("userId", "IN", values=["7", "8"])]}
    body = {"version": 2, "features": features, "segments": [segment]}
    return json.dumps(body)


def feature(name: str, *strategies: Any, enabled: bool = True, **rest: Any) -> dict:
    return {"name": name, "enabled": enabled, "strategies": list(strategies), **rest}


BLUE = {"type": "string", "value": "#00f"}
FEATURES = [
    feature("on"),
    feature("off", default(), enabled=False),
    feature("default", default()),
    feature("half-users", flexible("50", "userId")),
    feature("half-sessions", flexible("50", "sessionId")),
    feature("by-property", flexible("33", "plan")),
    feature("users", {"name": "userWithId", "parameters": {"userIds": "7,ada"}}),
    feature("network", {"name": "remoteAddress", "parameters": {"IPs": "10.0.0.0/8"}}),
    feature("in", default(constraint("plan", "IN", values=["pro", "free"]))),
    feature("not-in", default(constraint("userId", "NOT_IN", values=["7"]))),
    feature("ends", default(constraint("mail", "STR_ENDS_WITH", values=["@x.io"]))),
    feature("number", default(constraint("size", "NUM_GTE", value="10"))),
    feature("semver", default(constraint("version", "SEMVER_GT", value="1.2.3"))),
    feature(
        "inverted", default(constraint("plan", "IN", values=["pro"], inverted=True))
    ),
    feature("app", default(constraint("appName", "IN", values=[APP_NAME]))),
    feature("stage", default(constraint("environment", "IN", values=["default"]))),
    feature("segment", default(segments=[1])),
    feature("child", default(), dependencies=[{"feature": "half-users"}]),
    feature("custom", {"name": "mine", "parameters": {"letter": "a"}}),
    feature("unknown-strategy", {"name": "no such", "parameters": {}}),
    feature(
        "variants",
        default(),
        variants=[variant("red", 500), variant("blue", 500, payload=BLUE)],
    ),
    feature(
        "overridden",
        default(),
        variants=[
            variant("red", 1000),
            variant(
                "blue", 0, overrides=[{"contextName": "userId", "values": ["ada"]}]
            ),
        ],
    ),
    feature(
        "strategy-variants", {**flexible("50", "userId"), "variants": [variant("a", 1)]}
    ),
    feature("impressions", default(), impressionData=True),
]


@pytest.fixture(name="features", scope="session")
def _features() -> list[dict[str, Any]]:
    """Return flags with every kind of strategy, constraint and variant."""
    return FEATURES


@pytest.fixture(name="state", scope="session")
def _state() -> str:
    return state_of(*FEATURES)


@pytest.fixture(name="state_of", scope="session")
def _state_of() -> Callable[..., str]:
    return lambda *names: state_of(*(feature(name, default()) for name in names))


class StartsWith:
    """A custom strategy: whether the user's name starts with a letter."""

    def apply(self, parameters: dict[str, Any], context: dict[str, Any]) -> bool:
        return str(context.get("userId", "")).startswith(parameters["letter"])


@pytest.fixture(name="strategies", scope="session")
def _strategies() -> dict[str, Any]:
    return {"mine": StartsWith()}


@pytest.fixture(name="new_client", scope="session")
def _new_client() -> Callable[..., UnleashFlagClient]:
    """Return a function that makes a client from settings."""

    def make(**given: Any) -> UnleashFlagClient:
        settings = load_settings(given, {})
        return UnleashFlagClient(settings, Identity(settings, APP_NAME))

    return make


@pytest.fixture(name="new_lean")
def _new_lean(state: str) -> Callable[..., LeanClient]:
    """Return a function that makes a lean client with every kind of flag."""

    def make(**options: Any) -> LeanClient:
        client = LeanClient(app_name=APP_NAME, **options)
        client.load_state(state)
        return client

    return make


@pytest.fixture(name="lean")
def _lean(new_lean: Callable[..., LeanClient]) -> LeanClient:
    return new_lean()


class Asked(NamedTuple):
    """A request that a `Server` received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """An HTTP server that returns given answers, in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: queue.Queue[tuple[int, bytes, dict[str, str]]] = queue.Queue()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/api"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, status: int, body: str = "", **headers: str) -> None:
        """Add an answer; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._answers.put((status, body.encode(), named))

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(20)


def _handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append(
                Asked(self.command, self.path, headers, self.rfile.read(length))
            )
            status, body, more = server._answers.get(timeout=20)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def do_POST(self) -> None:
            self.do_GET()

    return Handler


@pytest.fixture(name="server")
def _server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(name="api_of")
def _api_of(server: Server) -> Iterator[Callable[..., UnleashApi]]:
    """Return a function that makes the API of a server, by default the fixture."""
    made = []

    def make(**given):
        settings = load_settings({"url": server.url, **given}, {})
        api = UnleashApi(settings, settings.url, Identity(settings, "checkout"))
        made.append(api)
        return api

    yield make
    for api in made:
        api.close()
