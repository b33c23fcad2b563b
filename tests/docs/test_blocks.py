"""Every Python block of the documentation runs as a reader would run it."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from serverless_flags import FlagSession

if TYPE_CHECKING:
    from sybil import Example


def _copy_and_run(example: Example) -> None:
    """Run a block; also save it as a file if it begins with ``# name.py``."""
    name = re.match(r"# (\w+\.py)\n", example.parsed)
    if name is None:
        PythonEvaluator()(example)
        return
    Path(name[1]).write_text(example.parsed, encoding="utf-8")
    with patch.dict(os.environ):
        PythonEvaluator()(example)


SYBIL = Sybil([CodeBlockParser("python", _copy_and_run)])


@pytest.fixture(name="sessions")
def _sessions():
    """Keep the sessions of a page open until its blocks have run, then close them."""
    sessions: set[FlagSession] = set()
    yield sessions
    for session in sessions:
        session.close()
    sessions.clear()
    gc.collect()  # so that a session left open warns in this test, not in the next


def test_blocks_run(page, folder, sessions):
    """The blocks of a page run in one namespace, and their tests pass."""
    document = SYBIL.parse(page)
    examples = list(document.examples())

    for example in examples:
        example.evaluate()
        values = document.namespace.values()
        sessions.update(value for value in values if isinstance(value, FlagSession))
    tests = sorted(folder.glob("test_*.py"))

    assert page.read_text(encoding="utf-8").count("```python\n") == len(examples)
    assert not tests or _outcome(tests, folder) == pytest.ExitCode.OK


def _outcome(tests: list[Path], folder: Path) -> int:
    """Run tests as a reader does; pytest shows their output if they fail."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, check=False, cwd=folder).returncode
