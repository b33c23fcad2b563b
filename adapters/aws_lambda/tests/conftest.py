"""Functions written for one test each, and the emulator that runs them."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class WriteFunction(Protocol):
    """Write a module of source text; return the target of its ``handler``."""

    def __call__(self, source: str) -> str: ...


@pytest.fixture(name="write_function")
def _write_function(tmp_path: Path) -> WriteFunction:
    """Return what writes a module into a directory of this test's own."""

    def write(source: str) -> str:
        module = tmp_path / "function.py"
        module.write_text(dedent(source))
        return f"{module}:handler"

    return write
