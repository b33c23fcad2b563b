"""Unleash feature flags in serverless functions, on any cloud."""

from __future__ import annotations

from serverless_flags._session import FlagSession
from serverless_flags._status import State, Status
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
    "__version__",
    "hookimpl",
]
