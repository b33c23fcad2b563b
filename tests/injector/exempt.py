"""The lines that no Python code can guard, found by the syntax of their file."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

TRY = "the line of a `try:`, which guards the lines below but not itself"
WITH = "the line of a `with`: before it nothing is entered, after it all is left"
HEADER = "the line of a `def`, where the call has not begun"
ENTERED = "the return of `__enter__`, after which the `with` does not guard yet"
DELETED = "inside `__del__`, from which the interpreter raises no exception"
GUARDED = (
    "inside a guarded call of a plugin, a callback or an engine, where an exception"
    " that the platform does not name counts as the callee's failure"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def exempt_lines(path: str) -> dict[int, str]:
    """Return the lines of a file that cannot be guarded, each with the reason."""
    found: dict[int, str] = {}
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Try):
            found[node.lineno] = TRY
        elif isinstance(node, ast.With | ast.AsyncWith):
            found.update(dict.fromkeys(_header(node), WITH))
        elif isinstance(node, Function):
            found.update(_of_function(node))
    return found


def _of_function(node: Function) -> Iterator[tuple[int, str]]:
    for line in _header(node):
        yield line, HEADER
    if node.name == "__del__":
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            yield line, DELETED
    if node.name in {"__enter__", "__aenter__"}:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Name):
                yield inner.lineno, ENTERED


def _header(node: Function | ast.With | ast.AsyncWith) -> range:
    """Return the lines of a compound statement above its body."""
    return range(node.lineno, max(node.lineno + 1, node.body[0].lineno))


def is_guarded(frame: FrameType | None) -> bool:
    """
    Return whether the frame runs below a handler that calls `passes`.

    Such a handler treats an exception that no platform names as a failure of the
    plugin, the callback or the engine that it calls, and continues without the answer.
    """
    while frame is not None:
        path = frame.f_code.co_filename
        if path.endswith(".py") and frame.f_lineno in _guarded_lines(path):
            return True
        frame = frame.f_back
    return False


@functools.cache
def _guarded_lines(path: str) -> frozenset[int]:
    lines: set[int] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Try) and any(map(_calls_passes, node.handlers)):
            last = node.body[-1]
            end = last.end_lineno or last.lineno
            lines.update(range(node.body[0].lineno, end + 1))
    return frozenset(lines)


def _calls_passes(handler: ast.ExceptHandler) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr)
        == "passes"
        for node in ast.walk(handler)
    )


@functools.cache
def _tree(path: str) -> ast.Module:
    try:
        with open(path, encoding="utf-8") as file:
            return ast.parse(file.read())
    except (OSError, SyntaxError):  # not a Python source file
        return ast.Module(body=[], type_ignores=[])
