"""Run something in a copy of this process, so that each trial has a new instance."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Died(Exception):  # noqa: N818  reason: it is what the copy did
    """Raised when a copy ended without a result."""


def in_copy(work: Callable[[], T], seconds: float) -> T:
    """
    Return what ``work`` returns in a fork of this process.

    Raises:
        Died: when the copy gave no result within ``seconds``; it is ended then.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _work_and_exit(work, writer)
    os.close(writer)
    try:
        data = _read(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if not data:
        message = f"no result within {seconds:g} s, wait status {status}"
        raise Died(message)
    result: T = pickle.loads(data)  # from the copy of this very process
    return result


def _work_and_exit(work: Callable[[], T], writer: int) -> None:
    try:
        data = pickle.dumps(work())
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(data)
    finally:
        os._exit(0)


def _read(reader: int, deadline: float) -> bytes:
    """Read to the end; nothing when that does not come in time."""
    data = b""
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(reader, 65536)
        if not chunk:
            return data
        data += chunk
    return b""
