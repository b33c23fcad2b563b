"""
SnapStart: one instance is started, and many are copies of its memory.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html. A hook
that raised would end the instance before it could serve.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serverless_flags import FlagSession

_LOG = logging.getLogger("serverless_flags")

_LAST_FLUSH = 2.0
"""Seconds for the counts of Init; a version is being published, nobody waits."""


def connect_image(session: FlagSession) -> None:
    """Prepare ``session`` for the image of this process, and each copy for its life."""
    try:
        # part of the managed runtimes that have SnapStart, and of awslambdaric
        import snapshot_restore_py as hooks
    except ImportError:
        _LOG.warning(
            "SnapStart needs snapshot-restore-py, which is not installed: every copy"
            " of this instance will have the same identity and counts"
        )
        return
    known = weakref.ref(session)
    hooks.register_before_snapshot(_before_snapshot, known)
    hooks.register_after_restore(_after_restore, known)


def _before_snapshot(known: weakref.ref[FlagSession]) -> None:
    """Send what was counted, once and not by every copy; close the connections."""
    session = known()
    if session is None:
        return
    try:
        session.flush(_LAST_FLUSH)
        session.renew()
    except Exception:  # noqa: BLE001  reason: see the module
        _LOG.warning("the session could not prepare for its image", exc_info=True)


def _after_restore(known: weakref.ref[FlagSession]) -> None:
    """Take an identity of its own, and ask whether the image's flags have changed."""
    session = known()
    if session is None:
        return
    try:
        session.renew()  # hooks that ran after ours may have started it in the image
        session.start()
    except Exception:  # noqa: BLE001  reason: see the module
        _LOG.warning("the session could not start after a restore", exc_info=True)
