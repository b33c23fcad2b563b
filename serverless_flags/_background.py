"""Work on a thread of its own, which whoever waits for it may leave behind."""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING

from serverless_flags._log import logger
from serverless_flags._passing import passes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEXT_THREAD_AFTER = 0.1
"""Seconds after which who waits for a thread that has not begun starts another one."""
THREAD_LOST_AFTER = 1.0
"""Seconds after which a thread that was started and has not begun never will."""
STACK = 20_000
"""Slots that the first frame of a thread claims; CPython rounds up, here to 256 KB."""
EXTRA_WAIT = 0.05
"""Seconds past its own limit for which bounded work is waited for."""


class Completion:
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
        woken = asyncio.Event()  # its `set` is asyncio's: nothing of ours is a callback

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if self._ended.is_set():
                return True
            self._wakers.append(wake)
        timer = loop.call_later(max(0.0, timeout), woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()
        return self._ended.is_set()


def wait_for_all(parts: Sequence[Completion], timeout: float) -> bool:
    """Wait at most ``timeout`` seconds in all; return whether each has ended."""
    deadline = time.monotonic() + timeout
    for part in parts:
        part.wait(deadline - time.monotonic())
    return all(part.ended for part in parts)


class BackgroundTask(Completion):
    """
    A function that runs on a thread of its own, which the end of the process cuts off.

    Where no thread can be started, as when the interpreter exits, it runs at once.

    ``threading.Thread.start`` waits until its thread runs, without a bound. An
    exception that a runtime raises into the calling thread meanwhile may end the new
    thread instead, before its first line (CPython, 3.10 to 3.13). So who waits starts
    another one, and the first that begins does the work.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._works = [work]
        """Empty from the moment at which a thread has begun."""
        self._asked = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for: also when its thread is lost."""
        if self._ended.is_set():
            return True
        return not self._began and time.monotonic() - self._asked > THREAD_LOST_AFTER

    @property
    def _began(self) -> bool:
        return not self._works

    def start(self) -> BackgroundTask:
        """Run the function in the background."""
        if not self.start_thread():
            self._run(on_caller=True)
        return self

    def start_thread(self) -> bool:
        """Run the function on a new thread; False where none can be started."""
        self._asked = time.monotonic()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            return False
        return True

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether it ended."""
        if not self._began:
            late = min(timeout, NEXT_THREAD_AFTER)
            if super().wait(late):
                return True
            self._start_again()
            timeout -= late
        return super().wait(timeout)

    async def wait_async(self, timeout: float) -> bool:
        """Wait as `wait` does, on the running loop, without blocking it."""
        if not self._began:
            late = min(timeout, NEXT_THREAD_AFTER)
            if await super().wait_async(late):
                return True
            self._start_again()
            timeout -= late
        return await super().wait_async(timeout)

    def _start_again(self) -> None:
        if not self._began:
            self.start_thread()

    def _run(self, *, on_caller: bool = False) -> None:
        try:
            work = self._works.pop()
        except IndexError:  # another thread was first
            return
        thread = _thread.get_ident()
        try:
            _task_threads.append(thread)
            trace = None if on_caller else threading.gettrace()
            if trace is not None:  # debuggers and coverage, as `threading.Thread` does
                sys.settrace(trace)
            self._do(work)
        except Exception as error:
            if on_caller and passes(error):
                raise
            logger.warning("a background task failed", exc_info=True)
        finally:
            _task_threads.remove(thread)
            self.end()

    def _do(self, work: Callable[[], object]) -> None:
        """Run the work in a frame that a trace sees."""
        work()

    if sys.version_info >= (3, 11):
        # CPython has 16 KB for a thread's frames, maps more memory when they are full
        # and unmaps it when they are left (_PyThreadState_PushFrame): calls across that
        # boundary take ten times as long, and an import makes thousands of the same
        # depth. This frame claims more than it needs, so the others are in one piece.
        _do.__code__ = _do.__code__.replace(co_stacksize=STACK)


def runs_task(thread: int) -> bool:
    """
    Whether a thread runs a background task.

    What asks a flag there, an observer or a callback, must not wait for the start: the
    start may wait for that task.
    """
    return thread in _task_threads


_task_threads: list[int] = []


def run_bounded(work: Callable[[bool], object], timeout: float) -> None:
    """
    Run the last work of a session on a bare thread and wait for it.

    An exception of others may arrive on the calling thread at any moment, and must not
    interrupt the only copy of counts. ``threading.Thread`` would take locks that a
    thread interrupted by a signal, or by the garbage collector, may hold.

    Args:
        work: bounds itself to ``timeout``; called with whether it runs on the calling
            thread because the interpreter is exiting and no thread can be started.
        timeout: seconds.
    """
    task = BackgroundTask(lambda: work(False))  # noqa: FBT003  reason: what the docstring says
    if task.start_thread():
        task.wait(max(0.0, timeout) + EXTRA_WAIT)
    else:
        work(True)  # noqa: FBT003  reason: likewise


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
