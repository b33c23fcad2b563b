"""Exceptions of others that pass through this package, wherever they arrive.

A runtime may raise into any line of a thread: the request timeout of a framework, for
example. Around the calls of plugins, callbacks and flag engines, the only places where
this package catches whatever is raised, such an exception must not be taken for the
fault of what was called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_names: frozenset[str] = frozenset()


def let_pass(names: Iterable[str]) -> None:
    """Add qualified class names (``package.module.Class``), for the whole process."""
    global _names  # noqa: PLW0603  reason: the runtime that raises is the process's own
    _names |= frozenset(names)


def passes(error: BaseException) -> bool:
    """Return whether an exception, or a base of it, is one that always passes."""
    if not _names:
        return False
    return any(
        f"{k.__module__}.{k.__qualname__}" in _names for k in type(error).__mro__
    )
