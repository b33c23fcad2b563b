"""
Every error this package raises, in one tree.

::

    Exception
    └── ServerlessFlagsError
        ├── ConfigurationError     also a ValueError
        ├── PluginError
        ├── MissingDependencyError also an ImportError
        └── EmulatorError

A failure of the flag server is not among them: your function never sees one.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "EmulatorError",
    "MissingDependencyError",
    "PluginError",
    "ServerlessFlagsError",
]


class ServerlessFlagsError(Exception):
    """Base of every error that serverless-flags raises."""


class ConfigurationError(ServerlessFlagsError, ValueError):
    """Raised when a setting or the flags of a test are malformed; it names the cure."""


class PluginError(ServerlessFlagsError):
    """Raised when a plugin of the settings cannot be loaded or has a hook amiss."""


class MissingDependencyError(ServerlessFlagsError, ImportError):
    """Raised when a distribution is needed and not installed, or cannot be loaded."""


class EmulatorError(ServerlessFlagsError):
    """Raised when an emulated instance does not start, has ended or does not answer."""
