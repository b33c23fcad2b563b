"""The embedded flag server as a server: tokens, bounds, records, start and stop."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from UnleashClient import UnleashClient

from serverless_flags import testing
from serverless_flags.exceptions import ConfigurationError
from serverless_flags.testing import Counts, FlagServer

if TYPE_CHECKING:
    from conftest import Client

FEATURES = "/api/client/features"
REGISTER = "/api/client/register"
METRICS = "/api/client/metrics"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", FEATURES), ("POST", REGISTER), ("POST", METRICS)]
)
def test_wrong_token(client: Client, method: str, path: str) -> None:
    """Every endpoint answers 401 to any token but the server's."""
    wrong = {"Authorization": "default:development.wrong"}

    assert client.request(method, path, b"{}", wrong).status == 401


def test_no_token(server: FlagServer, client: Client) -> None:
    """A request without a token is answered 401 too."""
    client.connection.request("GET", FEATURES)
    status = client.connection.getresponse().status

    assert status == 401
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/admin/projects"), ("GET", METRICS), ("DELETE", FEATURES)],
)
def test_other_paths_and_methods(client: Client, method: str, path: str) -> None:
    """Paths and methods outside of Unleash's client API are answered 404."""
    assert client.request(method, path).status == 404


def test_large_body_is_refused(client: Client) -> None:
    """A body over the bound is answered 413, and the connection is closed."""
    client.connection.putrequest("POST", METRICS)
    client.connection.putheader("Content-Length", "1000000000")
    client.connection.endheaders()
    response = client.connection.getresponse()

    assert response.status == 413
    assert response.headers["Connection"] == "close"


def test_recorded_requests_hide_the_token(server: FlagServer, client: Client) -> None:
    """A recorded request has everything but the token."""
    client.count(a={"yes": 1})
    (recorded,) = server.requests

    assert (recorded.method, recorded.path) == ("POST", METRICS)
    assert (recorded.body, recorded.status) == (client.bucket(a={"yes": 1}), 202)
    assert recorded.headers["authorization"] == "***"
    assert server.token not in repr(recorded)


def test_expect_continue(server: FlagServer, client: Client) -> None:
    """A client that waits for 100 Continue receives it."""
    body = client.bucket(a={"yes": 1})
    head = (
        f"POST {METRICS} HTTP/1.1\r\nHost: x\r\nAuthorization: {server.token}\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(head.encode())
        interim = raw.recv(1000)
        raw.sendall(body)
        final = raw.recv(1000)

    assert interim.startswith(b"HTTP/1.1 100")
    assert final.startswith(b"HTTP/1.1 202")


def test_stop_and_start(server: FlagServer, client: Client) -> None:
    """`stop` closes kept connections, and `start` uses the same port again."""
    client.fetch()
    port = server.port
    server.stop()
    server.stop()
    with pytest.raises(OSError, match=r"refused|closed|reset|without response"):
        client.fetch()
    server.start()
    server.start()
    client.connection.close()

    assert server.port == port
    assert client.fetch().status == 200


def test_port_in_use() -> None:
    """For a port in use, the error proposes port 0."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match="take port 0"),
    ):
        FlagServer({}, port=taken.getsockname()[1]).start()


def test_environ_configures_unleash_client() -> None:
    """UnleashClient works with this server: flags, variants and counts."""
    variant = {"name": "blue", "weight": 1000, "stickiness": "default"}
    always = {"enabled": True, "strategies": [{"name": "default"}]}
    features = [
        {"name": "simpleFlag", **always},
        {"name": "colour", **always, "variants": [variant]},
    ]
    with FlagServer({"version": 2, "features": features}) as server:
        client = UnleashClient(
            server.environ["UNLEASH_URL"],
            "test",
            custom_headers={"Authorization": server.environ["UNLEASH_API_TOKEN"]},
        )
        client.initialize_client()
        enabled = [client.is_enabled("simpleFlag") for _ in range(3)]
        name = client.get_variant("colour")["name"]
        client.destroy()
        statuses = {recorded.path: recorded.status for recorded in server.requests}

        assert enabled == [True, True, True]
        assert name == "blue"
        assert server.counts("simpleFlag") == Counts(yes=3)
        assert server.counts("colour").variants == {"blue": 1}
        assert statuses == {REGISTER: 202, FEATURES: 200, METRICS: 202}


def in_a_process_without(module: str) -> str:
    """Import FlagServer in a Python without a module; return the error."""
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "import serverless_flags.testing as testing\n"
        "try: testing.FlagServer\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return run.stdout


def test_import_without_werkzeug_names_the_extra() -> None:
    """Without the extra, `testing` can be imported; FlagServer names the extra."""
    said = in_a_process_without("werkzeug")

    assert said.startswith("MissingDependencyError ")
    assert "pip install 'serverless-flags[cli]'" in said


def test_other_import_errors_are_raised() -> None:
    """For any other missing module, the extra is not blamed: the error is raised."""
    said = in_a_process_without("serverless_flags.testing._wsgi_server")

    assert said.startswith("ModuleNotFoundError ")


def test_unknown_name() -> None:
    """The lazily importing module raises AttributeError for any other name."""
    with pytest.raises(AttributeError, match="no attribute 'FlagService'"):
        _ = testing.FlagService
