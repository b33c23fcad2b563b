"""The example keeps the contract of every adapter: that is how a third party tests."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serverless_flags import EmulatorError
from serverless_flags.testing import AdapterContract, Emulator

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS = Path(__file__).parent
START_TIMEOUT = 20.0


class Container(Emulator):
    """A container of a Knative revision: it listens on ``PORT`` and obeys SIGTERM."""

    port = 0

    @property
    def runtime(self) -> str:
        """Return what serves the function."""
        return "wsgiref"

    def start(self) -> None:
        """Start the server and return when it takes connections."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        environ = {
            **self.machine_environ(),
            "K_SERVICE": "hello",
            "K_REVISION": "hello-00001",
            "PORT": str(self.port),
            **self.environ,
        }
        server = [self.python, str(TESTS / "server.py")]
        self._spawn([*server, self.module_path.stem, self.function], environ, TESTS)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                what = "the server did not start"
                raise self._fail(what)
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            message = f"the instance does not answer: {error!r}"
            raise EmulatorError(message) from error
        finally:
            connection.close()


class TestContract(AdapterContract):
    platform = "knative"
    environ = {"K_SERVICE": "hello"}
    target = f"{TESTS / 'contract_function.py'}:function"

    @pytest.fixture(autouse=True)
    def _installed(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site))

    def emulator(self, environ: Mapping[str, str]) -> Emulator:
        return Container(self.target, environ=environ)
