"""Work on a thread of its own, which whoever waits for it may leave behind."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Waitable:
    """Something that ends once; threads and event loops may wait for it."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._ended.is_set()

    def end(self) -> None:
        """Wake whoever waits."""
        with self._lock:
            self._ended.set()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether it ended."""
        return self._ended.wait(max(0.0, timeout))

    async def wait_async(self, timeout: float) -> bool:
        """Wait as `wait` does, on the running loop, without blocking it."""
        import asyncio  # only where a loop is running already

        loop = asyncio.get_running_loop()
        woken = loop.create_future()

        def settle() -> None:
            if not woken.done():
                woken.set_result(None)

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(settle)

        with self._lock:
            if self.ended:
                return True
            self._wakers.append(wake)
        timer = loop.call_later(max(0.0, timeout), settle)
        try:
            await woken
        finally:
            timer.cancel()
        return self.ended


def wait_for_all(parts: Sequence[Waitable], timeout: float) -> bool:
    """Wait at most ``timeout`` seconds in all; return whether each has ended."""
    deadline = time.monotonic() + timeout
    for part in parts:
        part.wait(deadline - time.monotonic())
    return all(part.ended for part in parts)


class Errand(Waitable):
    """
    A function that runs on a daemon thread of its own.

    Where no thread can be started, as when the interpreter exits, it runs at once.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._work = work

    def start(self) -> Errand:
        """Run the function beside the caller."""
        thread = threading.Thread(
            target=self._run, name="serverless-flags", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._run()
        return self

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self.end()
