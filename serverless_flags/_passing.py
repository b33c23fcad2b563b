"""
Exceptions of the runtime that this package never catches.

A runtime may raise an exception at any line of a thread: the request timeout of a
framework, for example. This package catches every exception around the calls of
plugins, callbacks and flag engines only. There an exception of the runtime must not be
mistaken for a failure of the function that was called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_names: frozenset[str] = frozenset()


def let_pass(names: Iterable[str]) -> None:
    """Add qualified class names (``package.module.Class``), for the whole process."""
    global _names  # noqa: PLW0603  reason: a process has one runtime
    _names |= frozenset(names)


def passes(error: BaseException) -> bool:
    """Return whether the class of an exception, or a base class, was added."""
    if not _names:
        return False
    return any(
        f"{k.__module__}.{k.__qualname__}" in _names for k in type(error).__mro__
    )
