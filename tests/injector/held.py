"""Find the locks of a session that are held."""

from __future__ import annotations

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
    """Return where locks are held in what a session and its modules refer to."""
    found: set[str] = set()
    seen: set[int] = set()
    pending: list[tuple[Any, str]] = [(session, "session")]
    pending += [(getattr(m, n), f"{m.__name__}.{n}") for m, n in module_locks()]
    while pending:
        thing, name = pending.pop(0)
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if _is_lock(thing):
            if _is_held(thing):
                found.add(f"lock of {name}")
        elif _is_ours(thing):
            pending = _inside(thing, name) + pending
    return found


@functools.cache
def module_locks() -> list[tuple[types.ModuleType, str]]:
    """Return the modules that have locks, and the names of these."""
    return [
        (module, name)
        for imported, module in list(sys.modules.items())
        if imported.startswith(_PACKAGES)
        for name, value in vars(module).items()
        if _is_lock(value)
    ]


def _is_lock(thing: object) -> bool:
    return isinstance(thing, _LOCKS)


def _inside(thing: Any, name: str) -> list[tuple[Any, str]]:
    """Return what a thing refers to, each with a name: the attribute, if it is one."""
    if isinstance(thing, types.FunctionType):
        return [(cell, name) for cell in thing.__closure__ or ()]  # what it took along
    if isinstance(thing, _CONTAINERS):
        return [(inner, name) for inner in gc.get_referents(thing)]
    kind = type(thing)
    attributes = dict(getattr(thing, "__dict__", {}))
    for base in kind.__mro__:
        for slot in getattr(base, "__slots__", ()):
            attributes[slot] = getattr(thing, slot, None)
    named = [(value, f"{kind.__name__}.{key}") for key, value in attributes.items()]
    return named + [(inner, kind.__name__) for inner in gc.get_referents(thing)]


def _is_ours(thing: object) -> bool:
    if isinstance(thing, type | types.ModuleType):
        return False
    if isinstance(thing, types.FunctionType):
        return thing.__module__ is not None and thing.__module__.startswith(_PACKAGES)
    module = type(thing).__module__
    return isinstance(thing, _CONTAINERS) or module.startswith(_PACKAGES)


def _is_held(lock: Any) -> bool:
    if hasattr(lock, "locked"):
        held: bool = lock.locked()
        return held
    if lock.acquire(blocking=False):  # an RLock before 3.14
        lock.release()
        return False
    return True
