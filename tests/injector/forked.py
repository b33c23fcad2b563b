"""Run a function in a fork of this process, so that each trial has its own."""

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


class Died(Exception):  # noqa: N818  reason: a report of the fork, not an error of this package
    """Raised when a fork ended without a result."""


def in_fork(work: Callable[[], T], seconds: float) -> T:
    """
    Return what ``work`` returns in a fork of this process.

    Raises:
        Died: when the fork gave no result within ``seconds``; it is killed then.
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
    result: T = pickle.loads(data)  # written by a fork of this process
    return result


def _work_and_exit(work: Callable[[], T], writer: int) -> None:
    try:
        data = pickle.dumps(work())
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(data)
    finally:
        os._exit(0)


def _read(reader: int, deadline: float) -> bytes:
    """Read to the end; return nothing if it is not reached in time."""
    data = b""
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(reader, 65536)
        if not chunk:
            return data
        data += chunk
    return b""
