"""The path of the injector's modules, and a fixture that runs its command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(name="inject", scope="session")
def _inject():
    """Return the command ``run.py`` as a function of its arguments."""

    def inject(*arguments: object) -> subprocess.CompletedProcess[str]:
        others = (
            "COVERAGE_",
            "PYTHONSAFEPATH",
        )  # the injector needs the trace function itself
        environ = {n: v for n, v in os.environ.items() if not n.startswith(others)}
        return subprocess.run(
            [sys.executable, HERE / "run.py", *map(str, arguments)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    return inject
