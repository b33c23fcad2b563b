"""A platform of which nothing has to be installed, and its adapter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CLOUD = Path(__file__).parent / "cloud"


@pytest.fixture(name="cloud")
def _cloud(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the adapter for this test: its entry point is found on the path."""
    monkeypatch.syspath_prepend(str(CLOUD))
    monkeypatch.setenv("PYTHONPATH", str(CLOUD))
    monkeypatch.delitem(sys.modules, "small_cloud", raising=False)
    return CLOUD
