"""A small platform for these tests, and its adapter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CLOUD = Path(__file__).parent / "cloud"


@pytest.fixture(name="cloud")
def _cloud(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the adapter for one test, by putting its entry point on the path."""
    monkeypatch.syspath_prepend(str(CLOUD))
    monkeypatch.setenv("PYTHONPATH", str(CLOUD))
    monkeypatch.delitem(sys.modules, "small_cloud", raising=False)
    return CLOUD
