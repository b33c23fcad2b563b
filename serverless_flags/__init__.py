"""Unleash feature flags in serverless functions, on any cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags._session import FlagSession
from serverless_flags._state import State
from serverless_flags._version import __version__
from serverless_flags.exceptions import (
    ConfigurationError,
    EmulatorError,
    MissingDependencyError,
    PluginError,
    ServerlessFlagsError,
)
from serverless_flags.hookspecs import hookimpl
from serverless_flags.platform import Invocation, Platform

if TYPE_CHECKING:
    from serverless_flags.types import Variant

__all__ = [
    "ConfigurationError",
    "EmulatorError",
    "FlagSession",
    "Invocation",
    "MissingDependencyError",
    "Platform",
    "PluginError",
    "ServerlessFlagsError",
    "State",
    "Status",
    "Variant",
    "__version__",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    """Import types of answers only when they are asked for: cold starts need none."""
    if name == "Status":
        from serverless_flags._status import Status

        return Status
    if name == "Variant":
        from serverless_flags.types import Variant

        return Variant
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
