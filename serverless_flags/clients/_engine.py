"""yggdrasil-engine without its Python layer, which is half of what its import costs.

The layer's dataclasses, contexts and type variables take 4 ms of a cold start, and the
lean client uses none of them. Only the versions listed here are loaded like this, for
a function that is called with the wrong arguments ends the process. With any other the
client takes ``UnleashEngine`` itself: slower, and always right.
"""

from __future__ import annotations

import sys
from typing import Any

KNOWN = frozenset({"0.20.8"})
"""Core versions whose functions have the arguments below; tests/clients/
test_lean_contract.py holds them against ``UnleashEngine``."""

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
"""How the engine begins when it took a state of which it cannot evaluate all."""


class EngineError(ValueError):
    """Raised when the engine answers that it failed; it says why."""


def quoted(text: str, most: int) -> str:
    """Return a text of somebody else's as a log may have it: escaped and bounded."""
    escaped = text[:most].encode("unicode_escape", "backslashreplace").decode()
    return escaped if len(text) <= most else f"{escaped}..."


class Engine:
    """One engine, with those attributes of ``UnleashEngine`` that we use."""

    def __init__(self) -> None:
        from yggdrasil_engine.custom_strategy import CustomStrategyHandler  # with it

        self.lib = _library()
        self.state: int = self.lib.new_engine()
        self.custom_strategy_handler = CustomStrategyHandler()

    def register_custom_strategies(self, strategies: dict[str, Any]) -> None:
        """Raises ValueError when one has no ``apply(parameters, context)``."""
        self.custom_strategy_handler.register_custom_strategies(strategies)

    def __del__(self) -> None:
        if hasattr(self, "state"):
            self.lib.free_engine(self.state)


def engine_class() -> Any:
    """Return the class whose instances are engines: ours, or ``UnleashEngine``."""
    import yggdrasil_engine  # late, as all of it

    known = yggdrasil_engine.__yggdrasil_core_version__ in KNOWN
    if known and sys.platform == "linux":
        return Engine
    from yggdrasil_engine.engine import UnleashEngine  # 4 ms

    return UnleashEngine


def _library() -> Any:
    """Return the engine's functions with their arguments, as ``UnleashEngine.lib``."""
    if not _opened:
        import ctypes  # with the engine
        import os

        import yggdrasil_engine

        folder = os.path.dirname(yggdrasil_engine.__file__)
        library = ctypes.CDLL(os.path.join(folder, "lib", "libyggdrasilffi.so"))
        for name, arguments in ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes = [getattr(ctypes, word) for word in arguments]
            function.restype = None if name.startswith("free") else ctypes.c_void_p
        _opened.append(library)
    return _opened[0]
