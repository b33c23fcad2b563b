"""The pages of this project, and a folder in which their Python blocks run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from serverless_flags.testing import FlagServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
GLOBS = ("*.md", "docs/**/*.md", "adapters/*/README.md", "examples/*/README.md")
PAGES = sorted(path for pattern in GLOBS for path in ROOT.glob(pattern))
OF_A_PLATFORM = ("AWS_", "AZURE_", "FUNCTION", "GCP_", "K_", "WEBSITE_")
SETTINGS = ("UNLEASH_", "SERVERLESS_FLAGS_")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that has a ``page`` argument once for each page."""
    if "page" in metafunc.fixturenames:
        names = [page.relative_to(ROOT).as_posix() for page in PAGES]
        metafunc.parametrize("page", PAGES, ids=names)


@pytest.fixture(name="read")
def _read() -> Callable[[str], str]:
    """Return the text of a page, named from the root of the repository."""
    return lambda name: (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """
    Run the test in a folder that has the modules of the examples.

    The environment points to a flag server, and is otherwise that of no platform.
    """
    for module in ROOT.glob("examples/*/*.py"):
        shutil.copy(module, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    with FlagServer({"simpleFlag": True}) as server, patch.dict(os.environ):
        for name in list(os.environ):
            if name.startswith((*OF_A_PLATFORM, *SETTINGS)):
                del os.environ[name]
        os.environ.update(server.environ)
        yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
