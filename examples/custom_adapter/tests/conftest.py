"""The adapter, installed as your own would be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent


@pytest.fixture(name="site", scope="session")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example into a folder of its own, with its entry point."""
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--python", sys.executable]
    subprocess.run(
        [*install, "--quiet", "--no-deps", "--target", site, EXAMPLE], check=True
    )
    return site
