"""What the process around a session is doing: forking, running an event loop."""

from __future__ import annotations

import os
import sys
import weakref
from typing import Protocol


class Renewable(Protocol):
    """What belongs to one process."""

    def renew(self) -> None:
        """Begin anew in a copy of the process."""


_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()
_hooked = False


def renew_after_fork(renewable: Renewable) -> None:
    """Renew it in every forked child, as long as it lives."""
    global _hooked  # noqa: PLW0603  reason: a fork hook cannot be undone
    _renewables.add(renewable)
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(after_in_child=renew_all)


def renew_all() -> None:
    """Renew all there are; called in a forked child."""
    for renewable in list(_renewables):
        renewable.renew()


def on_running_loop() -> bool:
    """Whether an event loop runs on this thread; asked without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def in_task() -> bool:
    """Whether an asyncio task runs on this thread; asked without importing asyncio."""
    return on_running_loop() and sys.modules["asyncio"].current_task() is not None
