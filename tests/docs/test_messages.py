"""The page about observing lists every message that a session can log."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = "docs/how-to/observe.md"
TROUBLESHOOTING = "docs/how-to/troubleshooting.md"
TOOLS = {"cli", "testing"}
"""Folders whose messages are not those of a session: they run on a laptop only."""

COMPOSED = {"..."}
"""Messages that consist of other texts only: what the engine cannot read, what is wrong
with a snapshot, a missing url. The page lists those texts themselves."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    """Return the modules that a deployed function runs."""
    found = [
        *ROOT.glob("serverless_flags/**/*.py"),
        *ROOT.glob("adapters/*/src/**/*.py"),
    ]
    return [path for path in found if not TOOLS & {*path.parts}]


def listed(text: str, *headers: str) -> list[str]:
    """Return the first cell of each row of the tables that begin with these words."""
    cells = [line.split("|")[1].strip() for line in text.splitlines() if "|" in line]
    found, inside = [], False
    for cell, below in zip(cells, [*cells[1:], ""], strict=True):
        if set(below) == {"-"}:
            inside = cell in headers
        elif inside and set(cell) != {"-"}:
            found.append(cell)
    return found


def logged(path: Path) -> Iterator[str]:
    """Yield the messages that a module logs as warnings or information."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in [tree, *ast.walk(tree)]:
        if isinstance(function, ast.Module | Function):
            for call in _own_nodes(function):
                message = _message_of(call)
                if message is not None:
                    yield from _texts(message, function, tree)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of the functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, Function):
            yield child
            yield from _own_nodes(child)


def _message_of(call: ast.AST) -> ast.expr | None:
    """Return the message of a call that logs, None for any other node."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    receiver, name = ast.unparse(call.func.value), call.func.attr
    if receiver in {"logger", "_LOG"} and name in {"warning", "info"}:
        return call.args[0]
    if (receiver, name) == ("logger", "log"):
        return call.args[1]
    if name in {"warn", "passed"} and receiver != "warnings":
        return call.args[1]
    return None


def _texts(message: ast.expr, function: ast.AST, tree: ast.Module) -> list[str]:
    """Return the possible texts of a message, with dots for each argument."""
    if isinstance(message, ast.Name):
        if isinstance(function, Function) and message.id in _parameters(function):
            return []  # the caller's message, which is found there
        values = _assigned(message.id, function) or _assigned(message.id, tree)
        assert values, f"where does {message.id} come from?"
        return [text for value in values for text in _texts(value, function, tree)]
    assert isinstance(message, ast.Constant), ast.unparse(message)
    return [re.sub(r"(?:%[sr])+", "...", message.value)]


def _parameters(function: Function) -> set[str]:
    return {argument.arg for argument in function.args.args}


def _assigned(name: str, scope: ast.AST) -> list[ast.expr]:
    return [
        node.value
        for node in _own_nodes(scope)
        if isinstance(node, ast.Assign)
        and [ast.unparse(t) for t in node.targets] == [name]
    ]


def test_each_message_of_the_code_is_listed(read):
    """Every message of the code has a row, with dots for the parts that differ."""
    messages = {message for path in sources() for message in logged(path)}
    page = listed(read(PAGE), "warning", "information")

    assert len(messages) > 40
    assert set() == messages - COMPOSED - set(page)
    assert len(page) == len(set(page))


def test_listed_messages_are_those_of_the_code(read):
    """Each part of a listed message, between its dots, is a text of the source."""
    source = "\n".join(
        node.value
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    page = listed(read(PAGE), "warning", "information", "reason")

    parts = [part for message in page for part in message.split("...") if part]

    assert [] == [part for part in parts if part not in source]


def test_what_troubleshooting_quotes_is_listed(read):
    """A heading that quotes the log quotes the beginning of a listed message."""
    page = listed(read(PAGE), "warning", "information")
    quoted = re.findall(r'(?m)^#+ The log says "(.*)"', read(TROUBLESHOOTING))

    assert len(quoted) > 1
    assert [] == [q for q in quoted if not any(m.startswith(q) for m in page)]
