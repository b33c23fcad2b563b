"""The embedded flag server over real HTTP, and under UnleashClient itself."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from UnleashClient import UnleashClient

from serverless_flags import testing
from serverless_flags.exceptions import ConfigurationError
from serverless_flags.testing import Counts, FlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FEATURES = "/api/client/features"
REGISTER = "/api/client/register"
METRICS = "/api/client/metrics"


@pytest.fixture(name="server")
def _server() -> Iterator[FlagServer]:
    with FlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="connection")
def _connection(server: FlagServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield connection
    connection.close()


class Answer:
    """An answer, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def enabled(self) -> dict[str, bool]:
        """The flags of a features body."""
        features = json.loads(self.body)["features"]
        return {feature["name"]: feature["enabled"] for feature in features}


def call(
    connection: http.client.HTTPConnection,
    server: FlagServer,
    path: str = FEATURES,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request with the server's token."""
    sent = {"Authorization": server.token, **(headers or {})}
    connection.request(method, path, body, sent)
    return Answer(connection.getresponse())


def bucket(app_name: str = "app", **toggles: Any) -> bytes:
    """Return the body of a metrics request."""
    now = "2026-01-01T00:00:00.000Z"
    span = {"start": now, "stop": now}
    metrics = {"appName": app_name, "bucket": {**span, "toggles": toggles}}
    return json.dumps(metrics).encode()


def test_flags_of_a_mapping(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """A mapping of names to bools is served as features of the project default."""
    answer = call(connection, server)

    assert answer.status == 200
    assert answer.enabled == {"simpleFlag": True}
    assert json.loads(answer.body)["features"][0]["project"] == "default"


def test_set_changes_the_next_fetch(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """A flag that is flipped or added is seen by the next fetch."""
    server.set("simpleFlag", enabled=False)
    server.set("other", enabled=True)

    assert call(connection, server).enabled == {"simpleFlag": False, "other": True}


def test_features_body_is_served_as_it_is() -> None:
    """A body of /api/client/features keeps its variants, segments and query."""
    body = {
        "version": 2,
        "features": [{"name": "a", "enabled": True, "variants": [{"name": "v"}]}],
        "segments": [{"id": 1, "constraints": []}],
    }
    with FlagServer(body) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        answer = call(connection, server)
        connection.close()

    assert json.loads(answer.body) == body


def test_project_selects_flags() -> None:
    """The query ?project= leaves the flags of other projects out."""
    features = [
        {"name": "a", "enabled": True, "project": "one"},
        {"name": "b", "enabled": True, "project": "two"},
    ]
    with FlagServer({"features": features}) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        answer = call(connection, server, f"{FEATURES}?project=two")
        connection.close()

        assert answer.enabled == {"b": True}
        assert server.requests[0].query == "project=two"


def test_unchanged_flags_answer_304_on_the_same_connection(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """If-None-Match answers 304 without a body, until a flag changes."""
    etag = call(connection, server).headers["ETag"]
    local_port = connection.sock.getsockname()[1]
    unchanged = call(connection, server, headers={"If-None-Match": etag})
    server.set("simpleFlag", enabled=False)
    changed = call(connection, server, headers={"If-None-Match": etag})

    assert (unchanged.status, unchanged.body) == (304, b"")
    assert changed.status == 200
    assert changed.headers["ETag"] != etag
    assert connection.sock.getsockname()[1] == local_port


@pytest.mark.parametrize(
    ("accepted", "expected"), [("gzip", "gzip"), ("gzip;q=0", None), ("", None)]
)
def test_gzip_only_when_accepted(
    server: FlagServer,
    connection: http.client.HTTPConnection,
    accepted: str,
    expected: str | None,
) -> None:
    """Features are compressed for those who accept it."""
    answer = call(connection, server, headers={"Accept-Encoding": accepted})
    if expected:
        answer.body = gzip.decompress(answer.body)

    assert answer.headers["Content-Encoding"] == expected
    assert answer.enabled == {"simpleFlag": True}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", FEATURES), ("POST", REGISTER), ("POST", METRICS)]
)
def test_wrong_token(
    server: FlagServer, connection: http.client.HTTPConnection, method: str, path: str
) -> None:
    """Every endpoint answers 401 to a token that is not the server's."""
    wrong = {"Authorization": "default:development.wrong"}
    answer = call(connection, server, path, method=method, body=b"{}", headers=wrong)

    assert answer.status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/admin/projects"), ("GET", METRICS), ("DELETE", FEATURES)],
)
def test_all_else_is_not_there(
    server: FlagServer, connection: http.client.HTTPConnection, method: str, path: str
) -> None:
    """What is not Unleash's client API answers 404."""
    assert call(connection, server, path, method=method).status == 404


def test_register(server: FlagServer, connection: http.client.HTTPConnection) -> None:
    """An application that registers is accepted."""
    accepted = call(connection, server, REGISTER, method="POST", body=b'{"appName":""}')
    malformed = call(connection, server, REGISTER, method="POST", body=b"{")

    assert (accepted.status, malformed.status) == (202, 400)


def test_counts_add_up(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """Buckets add up per flag and variant; an unknown flag has none."""
    first = bucket(a={"yes": 2, "no": 1, "variants": {"v": 1}}, b={"yes": 1, "no": 0})
    second = bucket(a={"yes": 1, "variants": {"v": 1, "w": 1}})
    statuses = [
        call(connection, server, METRICS, method="POST", body=body).status
        for body in (first, second)
    ]

    assert statuses == [202, 202]
    assert server.counts("a") == Counts(yes=3, no=1)
    assert server.counts("a").total == 4
    assert server.counts("a").variants == {"v": 2, "w": 1}
    assert server.counts("unknown") == Counts()


def test_counts_of_one_application(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """Counts can be told apart by the name of the application."""
    for body in (bucket("one", a={"yes": 2}), bucket("two", a={"no": 1})):
        call(connection, server, METRICS, method="POST", body=body)

    assert server.counts("a", app_name="one") == Counts(yes=2)
    assert server.wait_for_counts("a", 1, 0, app_name="two") == Counts(no=1)
    assert server.counts("a") == Counts(yes=2, no=1)


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"appName": "app", "bucket": []}',
        b'{"bucket": {"start": 1, "stop": 1, "toggles": {}}}',
        b'{"appName": "app", "bucket": {"toggles": {}}}',
        bucket(a=1),
        bucket(a={"yes": -1}),
        bucket(a={"yes": True}),
        bucket(a={"yes": 1, "variants": {"v": "1"}}),
        bucket(a={"yes": 1, "variants": [1]}),
    ],
)
def test_malformed_metrics_count_nothing(
    server: FlagServer, connection: http.client.HTTPConnection, body: bytes
) -> None:
    """A bucket that is malformed answers 400 and leaves the counts alone."""
    assert call(connection, server, METRICS, method="POST", body=body).status == 400
    assert server.counts("a") == Counts()


def test_metrics_without_a_bucket(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """Impact metrics may come alone; there is nothing to count."""
    body = b'{"appName": "app", "impactMetrics": []}'

    assert call(connection, server, METRICS, method="POST", body=body).status == 202


def test_wait_for_counts(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """Waiting ends at the total, and at the timeout with what there is."""
    connection.request(
        "POST",
        METRICS,
        bucket(a={"yes": 2}),
        {"Authorization": server.token},
    )

    assert server.wait_for_counts("a", 2, timeout=10) == Counts(yes=2)
    assert server.wait_for_counts("a", 3, timeout=0) == Counts(yes=2)


def test_large_body_is_refused(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """A body beyond the bound answers 413 and ends the connection."""
    connection.putrequest("POST", METRICS)
    connection.putheader("Authorization", server.token)
    connection.putheader("Content-Length", "1000000000")
    connection.endheaders()
    answer = Answer(connection.getresponse())

    assert answer.status == 413
    assert answer.headers["Connection"] == "close"


def test_no_token(server: FlagServer) -> None:
    """A request without any token is refused, too."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", FEATURES)
    answer = Answer(connection.getresponse())
    connection.close()

    assert answer.status == 401
    assert "authorization" not in server.requests[0].headers


def test_recorded_requests_hide_the_token(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """A recorded request has its parts and its status, but never the token."""
    body = bucket(a={"yes": 1})
    call(connection, server, METRICS, method="POST", body=body)
    (recorded,) = server.requests

    assert (recorded.method, recorded.path) == ("POST", METRICS)
    assert (recorded.body, recorded.status) == (body, 202)
    assert recorded.headers["authorization"] == "***"
    assert server.token not in repr(recorded)


def test_expect_continue(server: FlagServer) -> None:
    """A client that waits for 100 Continue gets it."""
    body = bucket(a={"yes": 1})
    head = (
        f"POST {METRICS} HTTP/1.1\r\nHost: x\r\nAuthorization: {server.token}\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head.encode())
        interim = client.recv(1000)
        client.sendall(body)
        final = client.recv(1000)

    assert interim.startswith(b"HTTP/1.1 100")
    assert final.startswith(b"HTTP/1.1 202")


def test_stop_drops_kept_connections_and_start_takes_the_same_port(
    server: FlagServer, connection: http.client.HTTPConnection
) -> None:
    """A stopped server answers nobody, also no kept connection, and can come back."""
    call(connection, server)
    port = server.port
    server.stop()
    server.stop()
    with pytest.raises(OSError):
        call(connection, server)
    server.start()
    server.start()
    connection.close()

    assert server.port == port
    assert call(connection, server).status == 200


def test_taken_port() -> None:
    """A port that is taken gives an error that names the cure."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match="take port 0"),
    ):
        FlagServer({}, port=taken.getsockname()[1]).start()


def test_environ_configures_unleash_client() -> None:
    """UnleashClient reads flags and variants here, and its counts arrive."""
    variant = {"name": "blue", "weight": 1000, "payload": None, "stickiness": "default"}
    features = [
        {"name": "simpleFlag", "enabled": True, "strategies": [{"name": "default"}]},
        {
            "name": "colour",
            "enabled": True,
            "strategies": [{"name": "default"}],
            "variants": [variant],
        },
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

        assert enabled == [True, True, True]
        assert name == "blue"
        assert server.counts("simpleFlag") == Counts(yes=3)
        assert server.counts("colour").variants == {"blue": 1}
        statuses = {recorded.path: recorded.status for recorded in server.requests}
        assert statuses == {REGISTER: 202, FEATURES: 200, METRICS: 202}


class TestFile:
    """Flags from a file, read again when it changes."""

    @pytest.fixture(name="path")
    def _path(self, tmp_path: Path) -> Path:
        path = tmp_path / "flags.json"
        path.write_text('{"simpleFlag": true}')
        return path

    @pytest.fixture(name="server")
    def _server(self, path: Path) -> Iterator[FlagServer]:
        with FlagServer(flags=path) as server:
            yield server

    def test_change_is_served(
        self, path: Path, server: FlagServer, connection: http.client.HTTPConnection
    ) -> None:
        """A changed file is served from the next fetch on."""
        before = call(connection, server).enabled
        path.write_text('{"simpleFlag": false}')
        after = call(connection, server).enabled

        assert before == {"simpleFlag": True}
        assert after == {"simpleFlag": False}

    def test_change_of_the_same_size_is_served(
        self, path: Path, server: FlagServer, connection: http.client.HTTPConnection
    ) -> None:
        """A change that keeps the size is told by the modification time."""
        path.write_text('{"simpleFlax": true}')
        os.utime(path, ns=(1, 1))

        assert call(connection, server).enabled == {"simpleFlax": True}

    @pytest.mark.parametrize("edit", ["{", '{"simpleFlag": "yes, please"}', None])
    def test_malformed_edit_keeps_the_last_good_flags(
        self,
        path: Path,
        server: FlagServer,
        connection: http.client.HTTPConnection,
        caplog: pytest.LogCaptureFixture,
        edit: str | None,
    ) -> None:
        """A malformed edit, or a file that is gone, warns and changes nothing."""
        path.unlink() if edit is None else path.write_text(edit)

        assert call(connection, server).enabled == {"simpleFlag": True}
        assert "The last good flags stay in force" in caplog.text

    def test_set_holds_until_the_file_changes(
        self, path: Path, server: FlagServer, connection: http.client.HTTPConnection
    ) -> None:
        """A flag that was set in memory gives way to a newer file."""
        server.set("simpleFlag", enabled=False)
        set_in_memory = call(connection, server).enabled
        path.write_text('{"simpleFlag": true, "b": true}')

        assert set_in_memory == {"simpleFlag": False}
        assert call(connection, server).enabled == {"simpleFlag": True, "b": True}


@pytest.mark.parametrize(
    "content", ["", "[]", '{"a": 1}', '{"features": [{"name": "a"}]}', None]
)
def test_malformed_file_names_the_cure(tmp_path: Path, content: str | None) -> None:
    """A server does not start over a file that cannot be meant."""
    path = tmp_path / "flags.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationError) as caught:
        FlagServer(path)
    assert '{"simpleFlag": true}' in str(caught.value)
    assert str(path) in str(caught.value)


def in_a_process_without(module: str) -> str:
    """Return what becomes of FlagServer in a Python that lacks a module."""
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
    """Without the extra, testing can be imported and FlagServer names the cure."""
    said = in_a_process_without("werkzeug")

    assert said.startswith("MissingDependencyError ")
    assert "pip install 'serverless-flags[cli]'" in said


def test_import_hides_no_other_error() -> None:
    """A module that is missing for another reason is not blamed on the extra."""
    said = in_a_process_without("serverless_flags.testing._serving")

    assert said.startswith("ModuleNotFoundError ")


def test_import_of_what_is_not_there() -> None:
    """The lazy module has no other names."""
    with pytest.raises(AttributeError, match="no attribute 'FlagService'"):
        _ = testing.FlagService
