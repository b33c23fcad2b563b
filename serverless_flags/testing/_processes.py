"""The states of the processes of one instance, as Linux reports them in ``/proc``."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

_CHECKS = 3
"""How many times in a row all processes must be found asleep."""

_TIMEOUT = 2.0
"""Seconds to wait for that."""


def group_states(group: int) -> set[str]:
    """Return the states of a group's processes; ``Z`` is one that has ended."""
    states = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                states.add(fields[0])
    return states


def wait_until_asleep(group: int) -> None:
    """
    Wait until every process of a group that was just continued sleeps.

    Just after SIGCONT, Linux may deliver SIGTERM to another thread, or CPython may be
    about to block, and a Python signal handler would not run. That is an effect of
    SIGSTOP, which platforms do not use to freeze an instance.
    """
    deadline = time.monotonic() + _TIMEOUT
    asleep = 0
    while asleep < _CHECKS and time.monotonic() < deadline:
        time.sleep(0.001)
        asleep = asleep + 1 if group_states(group) <= {"S", "Z"} else 0
