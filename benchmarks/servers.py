"""A flag server near and far, and the variables of a function on Google's platform."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.environments import ROOT

NEAR, FAR = "loopback", "30 ms TLS"

GOOGLE = {
    "FUNCTION_TARGET": "handler",
    "FUNCTION_SIGNATURE_TYPE": "http",
    "K_SERVICE": "handler",
    "K_CONFIGURATION": "handler",
    "K_REVISION": "handler-00001-abc",
    "PORT": "8080",
}
"""Variables by which Google's adapter recognises its platform."""


@contextlib.contextmanager
def served(flags: int) -> Iterator[tuple[Path, Mapping[str, Mapping[str, str]]]]:
    """Serve this many flags; yield a folder, and the environment for each network."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "benchmarks.contenders.flag_server"]
        server = subprocess.Popen(
            [*command, str(flags), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None
        with server:  # leaving closes its standard input, which ends it
            try:
                yield Path(name), json.loads(server.stdout.readline())
            finally:
                server.terminate()
