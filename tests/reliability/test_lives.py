"""Thirty lives on each platform: nothing is lost in silence, nobody sees old flags."""

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
    """The command that people use ends well; else it prints how to live it again."""
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
