"""The sizes that CONTRIBUTING names, of the code that users install."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "serverless_flags", *ROOT.glob("adapters/*/src")]
FILES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]

MOST_LINES = 300
"""Of a file."""
MOST_FUNCTION_LINES = 35
MEDIAN_FUNCTION_LINES = 10
MOST_EXEMPTIONS = 8.0
"""``noqa`` comments in 1,000 lines."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _functions(path: Path) -> list[tuple[str, int]]:
    """Return the functions of a file with their lengths, decorators left out."""
    return [
        (f"{_name(path)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_production_code_is_found() -> None:
    """Else the other tests would look at nothing."""
    assert len(FILES) > 100
    assert {"serverless_flags", "adapters"} == {_name(p).split("/")[0] for p in FILES}


def test_no_file_is_longer_than_300_lines() -> None:
    """A file has one idea, and fits into a reader's head."""
    lengths = {_name(path): len(path.read_text().splitlines()) for path in FILES}

    assert {} == {name: n for name, n in lengths.items() if n > MOST_LINES}


def test_no_function_is_longer_than_35_lines() -> None:
    """Signature and docstring included; half of all have at most ten."""
    lengths = [length for path in FILES for length in _functions(path)]

    assert [] == [(name, n) for name, n in lengths if n > MOST_FUNCTION_LINES]
    assert sorted(n for _, n in lengths)[len(lengths) // 2] <= MEDIAN_FUNCTION_LINES


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_each_exemption_has_a_reason(path) -> None:
    """``noqa`` and ``type: ignore`` name the rule and say why it does not hold."""
    lines = [line for line in path.read_text().splitlines() if _EXEMPT.search(line)]

    assert [] == [line for line in lines if not _WITH_REASON.search(line)]


def test_exemptions_are_few() -> None:
    """A rule that needs many of them is no rule of this project."""
    texts = [path.read_text() for path in FILES]
    exempt = sum(text.count("# noqa") for text in texts)
    lines = sum(len(text.splitlines()) for text in texts)

    assert 1000 * exempt / lines <= MOST_EXEMPTIONS


_EXEMPT = re.compile(r"# (noqa|type: ignore)\b")
_WITH_REASON = re.compile(
    r"# (noqa: [A-Z]+[0-9]+|type: ignore\[[a-z-]+\]).* reason: \S+"
)
