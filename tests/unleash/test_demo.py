"""The demo on a real Unleash server: it runs, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from admin import FEATURES, Admin

if TYPE_CHECKING:
    from pathlib import Path

    from server import UnleashServer

PROGRAM = "from serverless_flags.cli import main; main()"


@pytest.fixture(name="admin")
def _admin(unleash: UnleashServer) -> Admin:
    return Admin(unleash.url, unleash.admin_token)


def demo(
    url: str, admin_token: str, examples: Path
) -> subprocess.CompletedProcess[str]:
    """Run ``serverless-flags demo`` on a server."""
    options = ["--url", url, "--admin-token", admin_token, "--examples", str(examples)]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "demo", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def tokens(admin: Admin) -> set[str]:
    """Return the names of the server's tokens."""
    listed = admin.done("GET", "/api/admin/api-tokens")["tokens"]
    return {token["tokenName"] for token in listed}


def test_demo(admin: Admin, examples: Path) -> None:
    """Every answer is right and every evaluation counted; flag and token are gone."""
    before = tokens(admin)
    run = demo(f"{admin.url}/api", admin.token, examples)

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("Feature flag 'simpleFlag' is enabled") == 3
    assert run.stdout.count("Feature flag 'simpleFlag' is disabled") == 3
    assert tokens(admin) == before
    admin.create_flag("simpleFlag")  # refused if it were there, or archived
    admin.remove_flag("simpleFlag")


def test_demo_touches_no_flag_of_others(admin: Admin, examples: Path) -> None:
    """A flag that is there already is refused with the cure, and left as it is."""
    admin.create_flag("simpleFlag")
    before = tokens(admin)
    run = demo(admin.url, admin.token, examples)
    still_there = admin.call("GET", f"{FEATURES}/simpleFlag").status_code
    admin.remove_flag("simpleFlag")

    assert run.returncode == 1
    assert "there is already a flag simpleFlag" in run.stderr
    assert "use another server" in run.stderr
    assert still_there == 200
    assert tokens(admin) == before


def test_demo_with_a_wrong_token(admin: Admin, examples: Path) -> None:
    """A token that the server does not know gives a message with the cure."""
    run = demo(admin.url, "*:*.wrong", examples)

    assert run.returncode == 1
    assert "pass a token for its admin API with --admin-token" in run.stderr


def test_demo_without_a_server(examples: Path) -> None:
    """A server that is not there is named."""
    run = demo("http://127.0.0.1:9", "*:*.token", examples)

    assert run.returncode == 1
    assert "no Unleash server answers at http://127.0.0.1:9" in run.stderr
