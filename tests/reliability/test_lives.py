"""Thirty lives on each platform: no count is lost silently, no flags are too old."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plan import VARIANTS

LIVES = Path(__file__).parent / "lives.py"
SEED = os.environ.get("LIVES_SEED", "2026")


@pytest.mark.parametrize("platform", VARIANTS)
def test_lives(platform):
    """The documented command succeeds; otherwise it prints how to repeat a life."""
    command = [sys.executable, LIVES, "--platform", platform, "--lives", "30"]
    environ = {n: v for n, v in os.environ.items() if n != "PYTHONSAFEPATH"}
    lived = subprocess.run(
        [*command, "--seed", SEED],
        env=environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert 0 == lived.returncode, lived.stdout + lived.stderr
