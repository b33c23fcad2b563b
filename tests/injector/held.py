"""Find the locks that a session holds, and the invocations that are current."""

from __future__ import annotations

import contextvars
import functools
import gc
import sys
import threading
import types
from typing import Any

_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_CONTAINERS = (dict, list, tuple, set, frozenset, types.CellType, types.MethodType)
_PACKAGES = ("serverless_flags",)


def held_locks(session: object) -> set[str]:
    """Return the places of the held locks that a session or its modules refer to."""
    found: set[str] = set()
    seen: set[int] = set()
    pending: list[tuple[Any, str]] = [(session, "session")]
    pending += [(getattr(m, n), f"{m.__name__}.{n}") for m, n in module_locks()]
    while pending:
        value, name = pending.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        if _is_lock(value):
            if _is_held(value):
                found.add(f"lock of {name}")
        elif _is_searched(value):
            pending = _inside(value, name) + pending
    return found


@functools.cache
def module_locks() -> list[tuple[types.ModuleType, str]]:
    """Return the modules that have locks, each with the name of a lock."""
    return [
        (module, name)
        for imported, module in list(sys.modules.items())
        if imported.startswith(_PACKAGES)
        for name, value in vars(module).items()
        if _is_lock(value)
    ]


def _is_lock(value: object) -> bool:
    return isinstance(value, _LOCKS)


def _inside(value: Any, name: str) -> list[tuple[Any, str]]:
    """Return the objects that an object refers to, each with a name."""
    if isinstance(value, types.FunctionType):
        captured = value.__closure__ or ()
        return [(cell, name) for cell in captured]
    if isinstance(value, _CONTAINERS):
        return [(inner, name) for inner in gc.get_referents(value)]
    kind = type(value)
    attributes = dict(getattr(value, "__dict__", {}))
    for base in kind.__mro__:
        for slot in getattr(base, "__slots__", ()):
            attributes[slot] = getattr(value, slot, None)
    named = [(value, f"{kind.__name__}.{key}") for key, value in attributes.items()]
    return named + [(inner, kind.__name__) for inner in gc.get_referents(value)]


def _is_searched(value: object) -> bool:
    if isinstance(value, type | types.ModuleType):
        return False
    if isinstance(value, types.FunctionType):
        return value.__module__ is not None and value.__module__.startswith(_PACKAGES)
    module = type(value).__module__
    return isinstance(value, _CONTAINERS) or module.startswith(_PACKAGES)


def _is_held(lock: Any) -> bool:
    if hasattr(lock, "locked"):
        held: bool = lock.locked()
        return held
    if lock.acquire(blocking=False):  # an RLock before 3.14
        lock.release()
        return False
    return True


def current_scopes() -> dict[str, object]:
    """Return the variables of this package that are set in the current context."""
    return {
        variable.name: value
        for variable, value in contextvars.copy_context().items()
        if variable.name.startswith("serverless_flags") and value is not None
    }
