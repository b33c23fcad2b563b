"""Renew sessions in forked children, and determine how a process was forked."""

from __future__ import annotations

import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the protocol too: defining one takes 0.1 ms of a cold start
    from collections.abc import Callable
    from typing import Protocol

    class Renewable(Protocol):
        """An object whose state belongs to one process."""

        def renew(self) -> None:
            """Start afresh in a copy of the process."""


_LAST = -100
"""The priority of a finalizer that multiprocessing runs after all others."""

_importer = os.getpid()
"""The id of the process that imported this module."""
_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()
_hooked = False
_forked_from: Any = None
"""The process object that multiprocessing had in the process that forked this one."""
_first_invoked_in = 0
"""The id of the first process in which an invocation has begun; 0: none yet."""
_finalizer_in = 0
"""The id of the process in which `call_at_child_exit` has registered a function."""


def renew_after_fork(renewable: Renewable) -> None:
    """Call ``renew`` of the object, which is held weakly, in every forked child."""
    global _hooked  # noqa: PLW0603  reason: a fork hook cannot be undone
    _renewables.add(renewable)
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(after_in_child=renew_all)


def renew_all() -> None:
    """Renew all registered objects; called in a forked child."""
    global _forked_from  # noqa: PLW0603  reason: a fact of the process
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:
        _forked_from = multiprocessing.current_process()
    for renewable in list(_renewables):
        renewable.renew()


def is_forked() -> bool:
    """Whether this process was forked after it had imported this package."""
    return os.getpid() != _importer


def note_invocation() -> None:
    """Note that an invocation has begun in this process."""
    global _first_invoked_in  # noqa: PLW0603  reason: a fact of the process
    _first_invoked_in = _first_invoked_in or os.getpid()


def is_forked_by_invocation() -> bool:
    """
    Whether this process was forked after an invocation had begun in its parent.

    A server that forks its workers does so before the first invocation.
    """
    return _first_invoked_in not in {0, os.getpid()}


def is_multiprocessing_child() -> bool:
    """
    Whether multiprocessing has started this process, and will end it.

    multiprocessing gives each of its children a new process object. A child of
    ``os.fork`` still has the process object of its parent.
    """
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return False
    return multiprocessing.current_process() is not _forked_from


def call_at_child_exit(function: Callable[[], object]) -> None:
    """
    Call ``function`` when this process ends, if multiprocessing has started it.

    Such a process runs its finalizers and then ends by ``os._exit``, without the
    ``atexit`` functions (multiprocessing/process.py, ``_bootstrap``). Only the first
    call in a process has an effect.
    """
    global _finalizer_in  # noqa: PLW0603  reason: a fact of the process
    util = sys.modules.get("multiprocessing.util")
    if util is None or _finalizer_in == os.getpid() or not is_multiprocessing_child():
        return
    util.Finalize(None, function, exitpriority=_LAST)
    _finalizer_in = os.getpid()
