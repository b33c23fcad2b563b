"""Tools for tests: emulators and the embedded flag server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags._freshness import Instant
from serverless_flags.clients.memory import MemoryClient
from serverless_flags.exceptions import MissingDependencyError
from serverless_flags.testing._adapters import emulate
from serverless_flags.testing.emulator import Answer, Emulator, Exit
from serverless_flags.testing.flag_counts import Counts

if TYPE_CHECKING:
    from serverless_flags.testing.flag_server import FlagServer, Recorded

__all__ = [
    "Answer",
    "Counts",
    "Emulator",
    "Exit",
    "FlagServer",
    "Instant",
    "MemoryClient",
    "Recorded",
    "emulate",
]


def __getattr__(name: str) -> Any:
    """Import the flag server when it is asked for: werkzeug is an extra."""
    if name not in {"FlagServer", "Recorded"}:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        from serverless_flags.testing import flag_server
    except ModuleNotFoundError as error:
        if error.name != "werkzeug":
            raise
        message = "the flag server needs werkzeug: pip install 'serverless-flags[cli]'"
        raise MissingDependencyError(message, name=error.name) from error
    return getattr(flag_server, name)
