"""Functions written for one test each, and the flag server that they ask."""

from __future__ import annotations

from textwrap import dedent

import pytest

from serverless_flags.testing import FlagServer


@pytest.fixture(name="write_function")
def _write_function(tmp_path):
    """Return what writes a module and returns the target of its ``handler``."""

    def write(source: str) -> str:
        module = tmp_path / "function.py"
        module.write_text(dedent(source))
        return f"{module}:handler"

    return write


@pytest.fixture(name="flag_server")
def _flag_server():
    """Yield a flag server whose one flag is on."""
    with FlagServer({"simpleFlag": True}) as server:
        yield server
