"""
SnapStart: Lambda starts one instance and restores many from a snapshot of its memory.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html. If a
hook raised, the instance would end before its first invocation.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serverless_flags import FlagSession

_LOG = logging.getLogger("serverless_flags")

_LAST_FLUSH = 2.0
"""Seconds for sending the counts of Init, while a version is published."""


def connect_snapshot(session: FlagSession) -> None:
    """Register hooks that renew ``session`` before a snapshot and after a restore."""
    try:
        # part of the managed runtimes that have SnapStart, and of awslambdaric
        import snapshot_restore_py as hooks
    except ImportError:
        _LOG.warning(
            "SnapStart needs snapshot-restore-py, which is not installed: every copy"
            " of this instance will have the same identity and counts"
        )
        return
    reference = weakref.ref(session)
    hooks.register_before_snapshot(_before_snapshot, reference)
    hooks.register_after_restore(_after_restore, reference)


def _before_snapshot(reference: weakref.ref[FlagSession]) -> None:
    """Send the counts, so that no restored instance repeats them; disconnect."""
    session = reference()
    if session is None:
        return
    try:
        session.flush(_LAST_FLUSH)
        session.renew()
    except Exception:  # noqa: BLE001  reason: see the module's docstring
        _LOG.warning("the session could not prepare for its image", exc_info=True)


def _after_restore(reference: weakref.ref[FlagSession]) -> None:
    """Give the session a new identity and refresh the flags of the snapshot."""
    session = reference()
    if session is None:
        return
    try:
        session.renew()  # hooks that ran after ours may have started it
        session.start()
    except Exception:  # noqa: BLE001  reason: see the module's docstring
        _LOG.warning("the session could not start after a restore", exc_info=True)
