"""Explain in one line why a flag client cannot be imported and what to change."""

from __future__ import annotations

import os
import sys

from serverless_flags.clients._engine import quoted
from serverless_flags.exceptions import MissingDependencyError

_LOADER_ERRORS = (
    "cannot open shared object",
    "elf header",
    "elf class",
    "mach-o",
    "dlopen",
    "wrong architecture",
    "incompatible architecture",
    "exec format",
    "dll load failed",
    "not a valid win32 application",
)
"""Parts of loader errors, in lower case, about a library for another platform."""


def explained(error: ImportError | OSError) -> MissingDependencyError:
    """Return an error with the cause of a failed import and what to change."""
    said = f"{type(error).__name__}: {quoted(str(error), 200)}"
    name = getattr(error, "name", None)
    if (
        type(error).__name__ == "PackageNotFoundError"
    ):  # importlib.metadata's or a backport's
        return MissingDependencyError(
            f"the bundle has no package metadata of {name}: keep the *.dist-info"
            f" folders when you slim it, or use client='lean' ({said})",
            name=name,
        )
    if _is_of_another_machine(error):
        return MissingDependencyError(
            "the engine's library cannot be loaded: the bundle was built for another"
            f" platform or architecture than this one, {_machine()}; install its"
            f" packages for this one, as with pip install --platform ({said})"
        )
    if isinstance(error, ModuleNotFoundError):
        return MissingDependencyError(
            f"the bundle lacks a module ({said}): install serverless-flags with its"
            " dependencies into it; client='lean' needs no UnleashClient",
            name=name,
        )
    return MissingDependencyError(
        f"the flag client cannot be imported ({said}): install serverless-flags with"
        " its dependencies into the bundle again",
        name=name,
    )


def _is_of_another_machine(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is None:
        return True  # the loader's own error
    text = str(error).lower()
    return any(words in text for words in _LOADER_ERRORS)


def _machine() -> str:
    machine = os.uname().machine if hasattr(os, "uname") else "this machine"
    return f"{sys.platform} on {machine}"
