"""Let signals interrupt the event loop's sleep, so that a handler runs at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from threading import get_ident

_writers: dict[int, int] = {}
"""By process: the wakeup fd that wakes the event loop."""
_thread = 0
"""The thread that runs the event loop: the main one, which alone sets wakeup fds."""


def wake_loop_at_signals() -> None:
    """
    Wake the event loop of the main thread at every signal, from now on.

    A handler in Python runs on the main thread, between two bytecodes. A signal that
    comes just before the loop enters ``epoll_wait()``, or on another thread, would be
    heard at the loop's next event, and an idle worker may have none. asyncio does the
    same for handlers of its own (asyncio/unix_events.py, ``add_signal_handler``).
    """
    global _thread  # noqa: PLW0603  reason: a fact of the process
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if threading.current_thread() is not threading.main_thread():
        return
    if os.getpid() not in _writers:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        loop.add_reader(reader, os.read, reader, 64)
        _writers[os.getpid()] = writer
    _thread = get_ident()
    wake_loop_again()


def wake_loop_again() -> None:
    """Set the wakeup fd where a function has reset it, as asyncio does."""
    if get_ident() != _thread:
        return
    writer = _writers.get(os.getpid())
    if writer is None:
        return
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if previous not in (-1, writer):  # asyncio's, which wakes the loop, too
        signal.set_wakeup_fd(previous, warn_on_full_buffer=False)
