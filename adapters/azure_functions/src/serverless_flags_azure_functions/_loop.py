"""Wake the event loop at signals, so that a Python signal handler runs at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import NamedTuple


class _Waker(NamedTuple):
    """The event loop of one process, and the fd to which signals are written."""

    loop: asyncio.AbstractEventLoop
    writer: int

    def arm(self) -> None:
        """Set the wakeup fd, on the main thread, unless another one wakes the loop."""
        previous = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        if previous not in (
            -1,
            self.writer,
        ):  # asyncio's own, which wakes the loop, too
            signal.set_wakeup_fd(previous, warn_on_full_buffer=False)


_wakers: dict[int, _Waker] = {}
"""By process id."""


def wake_loop_at_signals() -> None:
    """
    Wake the event loop of the main thread at every signal, from now on.

    A Python signal handler runs on the main thread, between two bytecodes. If a signal
    arrives just before the loop enters ``epoll_wait()``, or on another thread, the
    handler would run at the loop's next event, and an idle worker may have none. For
    its own handlers asyncio does the same (asyncio/unix_events.py,
    ``add_signal_handler``).
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if threading.current_thread() is not threading.main_thread():
        return
    if os.getpid() not in _wakers:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        loop.add_reader(reader, os.read, reader, 64)
        _wakers[os.getpid()] = _Waker(loop, writer)
    _wakers[os.getpid()].arm()


def wake_loop_again() -> None:
    """
    Set the wakeup fd again if a function has reset it, as asyncio does.

    It may be called on any thread: the loop sets the fd on the main thread.
    """
    waker = _wakers.get(os.getpid())
    if waker is not None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            waker.loop.call_soon_threadsafe(waker.arm)
