"""
yggdrasil-engine without its Python layer, which is half of its import time.

The layer's dataclasses, contexts and type variables take 4 ms of a cold start, and the
lean client uses none of them. Only the versions listed here are loaded this way, as a
native function that is called with wrong arguments crashes the process. With any other
version the client uses ``UnleashEngine`` itself, which is slower and always correct.
"""

from __future__ import annotations

import sys
from typing import Any

KNOWN = frozenset({"0.20.8"})
"""Core versions whose functions have the arguments below; tests/clients/
test_lean_contract.py compares them with ``UnleashEngine``."""

_TEXT, _POINTER = "c_char_p", "c_void_p"
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "new_engine": (),
    "free_engine": (_POINTER,),
    "free_response": (_POINTER,),
    "take_state": (_POINTER, _TEXT),
    "check_enabled": (_POINTER, _TEXT, _TEXT, _TEXT),
    "check_variant": (_POINTER, _TEXT, _TEXT, _TEXT),
    "should_emit_impression_event": (_POINTER, _TEXT),
    "count_toggle": (_POINTER, _TEXT, "c_bool"),
    "count_variant": (_POINTER, _TEXT, _TEXT),
    "get_metrics": (_POINTER,),
    "list_known_toggles": (_POINTER,),
}
"""The functions that the lean client calls, with the names of ``ctypes``' types."""

_opened: list[Any] = []

PARTLY_LOADED = "Engine state was updated"
"""How the engine's message begins when it loaded only a part of a state."""


class EngineError(ValueError):
    """Raised when the engine reports an error; the message is the engine's."""


def quoted(text: str, most: int) -> str:
    """Return untrusted text in a form that is safe to log: escaped and shortened."""
    escaped = text[:most].encode("unicode_escape", "backslashreplace").decode()
    return escaped if len(text) <= most else f"{escaped}..."


class Engine:
    """One engine, with the attributes of ``UnleashEngine`` that this package uses."""

    def __init__(self) -> None:
        # late, as the engine
        from yggdrasil_engine.custom_strategy import CustomStrategyHandler

        self.lib = _library()
        self.state: int = self.lib.new_engine()
        self.custom_strategy_handler = CustomStrategyHandler()

    def register_custom_strategies(self, strategies: dict[str, Any]) -> None:
        """Raise ValueError when one has no ``apply(parameters, context)``."""
        self.custom_strategy_handler.register_custom_strategies(strategies)

    def __del__(self) -> None:
        if hasattr(self, "state"):
            self.lib.free_engine(self.state)


def engine_class() -> Any:
    """Return the class of engines: `Engine`, or ``UnleashEngine``."""
    import yggdrasil_engine  # late: 10 to 40 ms

    known = yggdrasil_engine.__yggdrasil_core_version__ in KNOWN
    if known and sys.platform == "linux":
        return Engine
    from yggdrasil_engine.engine import UnleashEngine  # 4 ms

    return UnleashEngine


def _library() -> Any:
    """Return the engine's functions with their arguments, as ``UnleashEngine.lib``."""
    if not _opened:
        import ctypes  # late, as the engine
        import os

        import yggdrasil_engine

        folder = os.path.dirname(yggdrasil_engine.__file__)
        library = ctypes.CDLL(os.path.join(folder, "lib", "libyggdrasilffi.so"))
        for name, arguments in ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes = [getattr(ctypes, kind) for kind in arguments]
            function.restype = None if name.startswith("free") else ctypes.c_void_p
        _opened.append(library)
    return _opened[0]
