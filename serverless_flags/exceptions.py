"""Every error this package raises, in one tree.

::

    Exception
    └── ServerlessFlagsError
        ├── ConfigurationError     also a ValueError
        ├── PluginError
        ├── MissingDependencyError also an ImportError
        └── EmulatorError

A fault of the flag server is not in the tree: it never reaches the user's function.
"""

from __future__ import annotations


class ServerlessFlagsError(Exception):
    """Base of every error that serverless-flags raises."""


class ConfigurationError(ServerlessFlagsError, ValueError):
    """Raised when a setting cannot be meant as it is written."""


class PluginError(ServerlessFlagsError):
    """Raised when a plugin cannot be loaded or does not fit the hook specification."""


class MissingDependencyError(ServerlessFlagsError, ImportError):
    """Raised when an optional distribution is needed and not installed."""


class EmulatorError(ServerlessFlagsError):
    """Raised when a platform's local runtime does not start or does not answer."""
