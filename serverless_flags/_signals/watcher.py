"""A thread that receives SIGTERM while the main thread is stuck in C code."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watcher:
    """
    The thread, and the sockets through which signals reach it.

    Create it on the main thread.

    Args:
        receive: called on the watcher's thread after each SIGTERM.
    """

    def __init__(self, receive: Callable[[], None]) -> None:
        receiver, sender = socket.socketpair()
        sender.settimeout(0)  # non-blocking: a wakeup fd must not wait
        self.sockets = receiver, sender
        self._receive = receive
        self.runs = True
        """Whether signals are received; False once other code closed the sockets."""
        self._main_thread = threading.get_ident()
        thread = threading.Thread(
            target=self._run, name="serverless-flags-sigterm", daemon=True
        )
        try:
            thread.start()
        except BaseException:
            self.close()
            raise

    def notify(self) -> None:
        """Wake the thread even if the wakeup fd belongs to other code."""
        with contextlib.suppress(OSError):  # the socket is full or closed
            self.sockets[1].send(bytes([signal.SIGTERM]))

    def rearm(self) -> None:
        """Point the wakeup fd at this watcher; does nothing off the main thread."""
        if self.runs and threading.get_ident() == self._main_thread:
            fd = self.sockets[1].fileno()
            signal.set_wakeup_fd(fd, warn_on_full_buffer=False)

    def close(self) -> None:
        """Close the sockets, and release the wakeup fd unless other code has set it."""
        fds = {end.fileno() for end in self.sockets}
        wakeup = signal.set_wakeup_fd(-1)
        if wakeup not in {-1, *fds}:
            signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for end in self.sockets:
            end.close()

    def _run(self) -> None:
        while _receive_sigterm(self.sockets[0]):
            self._receive()
        self.runs = False
        for end in self.sockets:
            end.detach()  # other code closed them and may have reused the descriptors


def _receive_sigterm(receiver: socket.socket) -> bool:
    """Wait for SIGTERM; return False when either end has been closed."""
    with contextlib.suppress(OSError):
        while received := receiver.recv(64):
            if signal.SIGTERM in received:
                return True
    return False
