"""Which lines no Python code can guard, by the syntax of the file they stand in."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

TRY = "the line of a `try:`: it guards what follows, not itself"
WITH = "the line of a `with`: nothing is entered before it, all is left after it"
HEADER = "the line of a `def`: the call has not begun"
ENTERED = "the return of `__enter__`: entered, and the `with` does not guard yet"
DELETED = "inside `__del__`: the interpreter lets no exception out of it"
GUARDED = (
    "inside a guarded call of a plugin, a callback or an engine: an exception that the"
    " platform does not name counts as the callee's fault"
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
    Return whether a handler that asks `passes` surrounds what runs now.

    Such a handler takes an exception that no platform names for the fault of the
    plugin, the callback or the engine that it calls, and goes on without the answer.
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
        if isinstance(node, ast.Try) and any(map(_asks_passes, node.handlers)):
            last = node.body[-1]
            end = last.end_lineno or last.lineno
            lines.update(range(node.body[0].lineno, end + 1))
    return frozenset(lines)


def _asks_passes(handler: ast.ExceptHandler) -> bool:
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
    except (OSError, SyntaxError):  # not a file of source text
        return ast.Module(body=[], type_ignores=[])
