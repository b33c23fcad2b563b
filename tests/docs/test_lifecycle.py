"""The page about the lifecycle draws every hook, and each of its rows has a test."""

from __future__ import annotations

import re
from pathlib import Path

from serverless_flags.hookspecs import HookSpecs

ROOT = Path(__file__).parents[2]
PAGE = "docs/explanation/lifecycle.md"
TESTS = re.compile(r"<!-- tests\n(.*?)\n-->", re.DOTALL)


def first_cells(text: str) -> list[str]:
    """Return the first cell of each row of each table, without the headers."""
    lines = [line.split("|")[1].strip() for line in text.splitlines() if "|" in line]
    rules = [i for i, cell in enumerate(lines) if set(cell) == {"-"}]
    headers = {i - 1 for i in rules} | set(rules)
    return [cell for i, cell in enumerate(lines) if i not in headers]


def exists(test: str) -> bool:
    """Whether a file exists and has the test, if one is named."""
    name, _, function = test.partition("::")
    path = ROOT / name
    return path.is_file() and f"def {function}" in path.read_text(encoding="utf-8")


def test_the_diagram_has_every_hook(read):
    """The diagram has every hook but `emulate`, which no instance calls."""
    (diagram,) = re.findall(r"```text\n(.*?)```", read(PAGE), re.DOTALL)
    hooks = {name for name in vars(HookSpecs) if not name.startswith("_")}

    assert hooks - {"emulate"} == set(re.findall(r"[a-z]+_[a-z_]+", diagram)) - {
        "first_invocation"
    }


def test_each_row_has_a_test(read):
    """Each row is named below its table, in the same order, with a test that exists."""
    tables = re.sub(r"```.*?```", "", read(PAGE), flags=re.DOTALL)
    named = [
        line.rpartition(": ")[::2]
        for block in TESTS.findall(tables)
        for line in block.splitlines()
    ]

    assert first_cells(TESTS.sub("", tables)) == [row for row, _ in named]
    assert [test for _, test in named if not exists(test)] == []
