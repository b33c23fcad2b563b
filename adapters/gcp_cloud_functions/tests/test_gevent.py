"""functions-framework's application under gunicorn's gevent worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serverless_flags.testing import Counts

pytest.importorskip("gevent", reason="of the test group; not for each new Python")

FUNCTIONS = Path(__file__).parent / "functions"
PATIENCE = 60.0


class Gunicorn:
    """A server with one gevent worker."""

    def __init__(self, environ: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        source = FUNCTIONS / "flagged.py"
        app = f"functions_framework:create_app('http', {str(source)!r})"
        address = self._url.removeprefix("http://").rstrip("/")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", address, app],
            env={**os.environ, **environ, "FUNCTION_TARGET": "http"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def request(self, query: str = "") -> bytes:
        with urllib.request.urlopen(self._url + query, timeout=PATIENCE) as answer:
            return bytes(answer.read())

    def wait(self) -> None:
        """Wait for the first answer."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.request()
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return


@pytest.fixture(name="gunicorn")
def _gunicorn(server):
    patient = {"SERVERLESS_FLAGS_START_TIMEOUT": "20"}
    gunicorn = Gunicorn({**server.environ, **patient})
    yield gunicorn
    if gunicorn.process.poll() is None:
        gunicorn.process.kill()
    gunicorn.process.communicate(timeout=PATIENCE)


def test_sigterm_while_a_request_is_in_flight(gunicorn, server, tmp_path):
    """The request is answered, the worker exits normally and every count arrives."""
    gunicorn.wait()
    began = tmp_path / "began"

    with ThreadPoolExecutor(1) as threads:
        in_flight = threads.submit(gunicorn.request, f"?began={began}&seconds=1.5")
        deadline = time.monotonic() + PATIENCE
        while not began.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        gunicorn.process.send_signal(signal.SIGTERM)
        answer = in_flight.result(PATIENCE)
    output, _ = gunicorn.process.communicate(timeout=PATIENCE)

    assert b'"enabled":true' in answer.replace(b" ", b"")
    assert "Error" not in output
    assert Counts(yes=2) == server.counts("simpleFlag")
