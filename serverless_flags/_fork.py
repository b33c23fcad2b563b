"""What is known of forks: whether this process is one, and of whom."""

from __future__ import annotations

import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # with its protocol, which takes 0.1 ms to define
    from collections.abc import Callable
    from typing import Protocol

    class Renewable(Protocol):
        """What belongs to one process."""

        def renew(self) -> None:
            """Begin anew in a copy of the process."""


_LAST = -100
"""The priority of a finalizer that runs after all others of multiprocessing."""

_importer = os.getpid()
"""The process that has imported this module."""
_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()
_hooked = False
_forked_from: Any = None
"""multiprocessing's object for the process that forked this one."""
_at_work = 0
"""The first process in which an invocation has begun; 0: none yet."""
_finalizing = 0
"""The process that calls something before multiprocessing ends it."""


def renew_after_fork(renewable: Renewable) -> None:
    """Renew it in every forked child, as long as it lives."""
    global _hooked  # noqa: PLW0603  reason: a fork hook cannot be undone
    _renewables.add(renewable)
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(after_in_child=renew_all)


def renew_all() -> None:
    """Renew all there are; called in a forked child."""
    global _forked_from  # noqa: PLW0603  reason: a fact of the process
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:
        _forked_from = multiprocessing.current_process()
    for renewable in list(_renewables):
        renewable.renew()


def is_forked() -> bool:
    """Whether this process is a fork of the one that has imported this package."""
    return os.getpid() != _importer


def note_work() -> None:
    """Note that invocations run in this process."""
    global _at_work  # noqa: PLW0603  reason: a fact of the process
    _at_work = _at_work or os.getpid()


def is_forked_at_work() -> bool:
    """
    Whether an invocation has forked this process, or a process in which one has run.

    A server that forks its workers does so before the first invocation.
    """
    return _at_work not in {0, os.getpid()}


def is_multiprocessing_child() -> bool:
    """
    Whether multiprocessing has started this process, and will end it.

    It gives each of its children a process object. A child that has the object of the
    process which forked it comes from ``os.fork``.
    """
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return False
    return multiprocessing.current_process() is not _forked_from


def call_at_child_exit(function: Callable[[], object]) -> None:
    """
    Call ``function`` at the end of a child of multiprocessing; once per process.

    Such a child ends by ``os._exit``, past ``atexit``, after it has run its finalizers
    (multiprocessing/process.py, ``_bootstrap``).
    """
    global _finalizing  # noqa: PLW0603  reason: a fact of the process
    util = sys.modules.get("multiprocessing.util")
    if util is None or _finalizing == os.getpid() or not is_multiprocessing_child():
        return
    util.Finalize(None, function, exitpriority=_LAST)
    _finalizing = os.getpid()
