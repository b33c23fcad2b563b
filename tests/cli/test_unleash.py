"""How the demo controls a real Unleash server, and what it says when that fails."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from werkzeug import Request, Response
from werkzeug.serving import make_server

from serverless_flags.cli import _azure_python, _unleash
from serverless_flags.cli._commands import commands
from serverless_flags.cli._unleash import unleash
from serverless_flags.testing import Counts
from serverless_flags.testing._client_api import ClientApi
from serverless_flags.testing.flag_state import FlagState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN_TOKEN = "*:*.admin"
FLAG = "simpleFlag"
CONFLICT = "conflict"
APPS = (
    "app",
    "other",
    "serverless-flags-demo-aws_lambda",
    "serverless-flags-demo-azure_functions",
    "serverless-flags-demo-gcp_cloud_functions",
)


class FakeUnleash:
    """The part of the admin API that the demo uses, and the embedded client API."""

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self.archive: set[str] = set()
        self.tokens: set[str] = set()
        self.refused: dict[str, int] = {}
        """The status to answer with, by method and last part of the path."""
        self.flips_are_served = True
        self.client_api = ClientApi(FlagState.of({}), "secret-1")
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def is_empty(self) -> bool:
        return not (self.flags | self.archive | self.tokens)

    def answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        if request.path.startswith("/api/client/"):
            return self.client_api(environ, start_response)
        status, body = self.admin(request)
        response = Response(json.dumps(body) if body else "", status)
        return response(environ, start_response)

    def admin(self, request: Request) -> tuple[int, Any]:
        if request.headers["Authorization"] != ADMIN_TOKEN:
            return 401, None
        operation = f"{request.method} {request.path.rpartition('/')[2]}"
        if operation in self.refused:
            return self.refused[operation], {"message": f"no {operation}"}
        if "archive" in request.path:
            operation += " permanently"
        done = {
            "POST features": self.create_flag,
            "POST on": lambda: self.flip(enabled=True),
            "POST off": lambda: self.flip(enabled=False),
            "POST api-tokens": self.create_token,
            "GET raw": lambda: {"data": [self.row(name) for name in APPS]},
            "DELETE secret-1": lambda: self.tokens.remove("secret-1"),
            f"DELETE {FLAG}": self.archive_flag,
            f"DELETE {FLAG} permanently": lambda: self.archive.remove(FLAG),
            "POST strategies": lambda: None,
        }[operation]()
        return (409, None) if done == CONFLICT else (200, done)

    def create_flag(self) -> Any:
        if FLAG in self.flags | self.archive:
            return CONFLICT
        return self.flags.add(FLAG)

    def archive_flag(self) -> None:
        self.flags.remove(FLAG)
        self.archive.add(FLAG)

    def create_token(self) -> Any:
        self.tokens.add("secret-1")
        return {"secret": "secret-1"}

    def flip(self, *, enabled: bool) -> None:
        if self.flips_are_served:
            self.client_api.set(FLAG, enabled=enabled)

    def row(self, app_name: str) -> Any:
        counts = self.client_api.counts.of(FLAG, app_name)
        return {"appName": app_name, "yes": counts.yes, "no": counts.no}

    def count(self, app_name: str, yes: int) -> None:
        toggles = {FLAG: {"yes": yes}}
        bucket = {"start": 0, "stop": 0, "toggles": toggles}
        self.client_api.counts.add({"appName": app_name, "bucket": bucket})


@pytest.fixture(name="fake")
def _fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeUnleash]:
    monkeypatch.setattr(_unleash, "POLL", 0)
    fake = FakeUnleash()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()


@pytest.mark.usefixtures("adapter")
def test_demo(
    fake: FakeUnleash, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo works with a real server as with the embedded one, and cleans up."""
    monkeypatch.setattr(_azure_python, "NEEDED", (3, 0))
    arguments = ["--url", f"{fake.url}/api/", "--examples", str(examples)]
    result = CliRunner().invoke(
        commands, ["demo", *arguments], env={"UNLEASH_ADMIN_TOKEN": ADMIN_TOKEN}
    )

    assert result.exit_code == 0
    assert "Feature flag 'simpleFlag' is enabled" in result.output
    assert fake.is_empty


@pytest.mark.parametrize("url", ["{}", "{}/", "{}/api", "{}/api/"])
def test_environ(fake: FakeUnleash, url: str) -> None:
    """Functions get the URL of the client API and a backend token created for them."""
    with unleash(url.format(fake.url), ADMIN_TOKEN) as control:
        environ = dict(control.environ)

    assert environ == {
        "UNLEASH_URL": f"{fake.url}/api",
        "UNLEASH_API_TOKEN": "secret-1",
    }


def test_counts_of_one_application(fake: FakeUnleash) -> None:
    """Counts of other applications are ignored."""
    with unleash(fake.url, ADMIN_TOKEN) as control:
        fake.count("app", 2)
        fake.count("other", 5)

        assert control.wait_for_counts("app", 2) == Counts(yes=2)


def test_counts_that_never_arrive(
    fake: FakeUnleash, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for counts ends after the timeout, with the counts so far."""
    with unleash(fake.url, ADMIN_TOKEN) as control:
        fake.count("app", 1)
        monkeypatch.setattr(_unleash, "TIMEOUT", 0.05)

        assert control.wait_for_counts("app", 2) == Counts(yes=1)


def test_flip_that_is_never_served(
    fake: FakeUnleash, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the server keeps the old state, the error says so, and the demo cleans up."""
    fake.flips_are_served = False
    monkeypatch.setattr(_unleash, "TIMEOUT", 0.5)
    with (
        pytest.raises(click.ClickException, match="does not serve simpleFlag on"),
        unleash(fake.url, ADMIN_TOKEN) as control,
    ):
        control.set_flag(enabled=True)

    assert fake.is_empty


def test_flip_to_the_same_value(fake: FakeUnleash) -> None:
    """A flag that already has the value is not flipped, and nothing is waited for."""
    with unleash(fake.url, ADMIN_TOKEN) as control:
        control.set_flag(enabled=True)
        fake.flips_are_served = False
        control.set_flag(enabled=True)

    assert fake.is_empty


@pytest.mark.parametrize("place", ["flags", "archive"])
def test_flag_that_already_exists(fake: FakeUnleash, place: str) -> None:
    """A flag that exists already is not changed, and the demo stops."""
    getattr(fake, place).add(FLAG)
    with (
        pytest.raises(click.ClickException, match="use another server"),
        unleash(fake.url, ADMIN_TOKEN),
    ):
        pass

    assert FLAG in getattr(fake, place)


@pytest.mark.parametrize(
    ("operation", "status", "expected"),
    [
        ("POST features", 403, "create the flag .403.: pass an --admin-token"),
        ("POST strategies", 500, "add a strategy .500.: .*no POST strategies"),
        ("POST api-tokens", 400, "create a backend token .400."),
    ],
)
def test_refusal(fake: FakeUnleash, operation: str, status: int, expected: str) -> None:
    """The error names the step that the server refused, and the demo cleans up."""
    fake.refused = {operation: status}
    with (
        pytest.raises(click.ClickException, match=expected),
        unleash(fake.url, ADMIN_TOKEN),
    ):
        pass

    assert fake.is_empty


def test_wrong_admin_token(fake: FakeUnleash) -> None:
    """For an admin token that the server refuses, the error says what to pass."""
    with (
        pytest.raises(click.ClickException, match="pass a token for its admin API"),
        unleash(fake.url, "*:*.wrong"),
    ):
        pass


def test_no_server() -> None:
    """If no server answers, the error names its address."""
    with (
        pytest.raises(click.ClickException, match="no Unleash server answers at"),
        unleash("http://127.0.0.1:9", ADMIN_TOKEN),
    ):
        pass
