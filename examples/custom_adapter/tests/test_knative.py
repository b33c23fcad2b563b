"""A third party's adapter works once it is installed, from detection to SIGTERM."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serverless_flags.testing import Counts, FlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parent.parent
PATIENCE = 20.0
"""Seconds after which a test that waits gives up."""


@pytest.fixture(name="site", scope="session")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example on its own, with its entry point."""
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--python", sys.executable]
    subprocess.run(
        [*install, "--quiet", "--no-deps", "--target", site, EXAMPLE], check=True
    )
    return site


@pytest.fixture(name="server")
def _server() -> Iterator[FlagServer]:
    with FlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="instance")
def _instance(
    site: Path, server: FlagServer
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve from a process with the environment of a Knative revision."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environ = {**os.environ, **server.environ, "PYTHONPATH": str(site)}
    environ |= {"K_SERVICE": "hello", "K_REVISION": "hello-00001", "PORT": str(port)}
    environ["SERVERLESS_FLAGS_START_TIMEOUT"] = "20"
    environ.pop("FUNCTION_TARGET", None)
    process = subprocess.Popen(
        [sys.executable, EXAMPLE / "tests/server.py"], env=environ
    )
    try:
        _wait_for(process, port)
        yield process, port
    finally:
        process.kill()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when the server takes connections."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("the server does not start")


def test_the_adapter_is_detected_and_flushes_at_sigterm(instance, server):
    """Its entry point is all that the function needs to know."""
    process, port = instance
    with urllib.request.urlopen(
        f"http://127.0.0.1:{port}/", timeout=PATIENCE
    ) as answer:
        assert json.load(answer) == {"enabled": True, "platform": "knative"}
    assert Counts() == server.counts("simpleFlag")

    process.send_signal(signal.SIGTERM)

    assert process.wait(PATIENCE) == -signal.SIGTERM
    assert Counts(yes=1) == server.counts("simpleFlag")


def test_the_adapter_is_small():
    """A third party adds a platform in at most 40 lines of Python."""
    lines = [
        line
        for path in (EXAMPLE / "src").rglob("*.py")
        for line in path.read_text().splitlines()
        if line.strip()
    ]

    assert len(lines) <= 40
