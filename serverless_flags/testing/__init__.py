"""Tools for tests: flags in memory, a flag server, emulators, a contract."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from serverless_flags._clock import Instant
from serverless_flags.clients.memory import MemoryClient
from serverless_flags.exceptions import MissingDependencyError
from serverless_flags.testing._emulate import emulate
from serverless_flags.testing.container import ContainerEmulator
from serverless_flags.testing.emulator import Answer, Emulator, Exit
from serverless_flags.testing.flag_counts import Counts

if TYPE_CHECKING:
    from serverless_flags.testing.contract import AdapterContract, Trial
    from serverless_flags.testing.faults import Exchange, Fault, FaultyFlagServer
    from serverless_flags.testing.flag_server import FlagServer, Recorded

__all__ = [
    "AdapterContract",
    "Answer",
    "ContainerEmulator",
    "Counts",
    "Emulator",
    "Exchange",
    "Exit",
    "Fault",
    "FaultyFlagServer",
    "FlagServer",
    "Instant",
    "MemoryClient",
    "Recorded",
    "Trial",
    "emulate",
]


_LAZY = {
    "AdapterContract": "contract",
    "Exchange": "faults",
    "Fault": "faults",
    "FaultyFlagServer": "faults",
    "FlagServer": "flag_server",
    "Recorded": "flag_server",
    "Trial": "contract",
}


def __getattr__(name: str) -> Any:
    """Import what needs the flag server when it is asked for: werkzeug is an extra."""
    if name not in _LAZY:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        module = importlib.import_module(f"{__name__}.{_LAZY[name]}")
    except ModuleNotFoundError as error:
        if error.name != "werkzeug":
            raise
        contract = _LAZY[name] == "contract"
        what, extra = ("contract", "contract") if contract else ("flag server", "cli")
        message = f"the {what} needs werkzeug: pip install 'serverless-flags[{extra}]'"
        raise MissingDependencyError(message, name=error.name) from error
    return getattr(module, name)
