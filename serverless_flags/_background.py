"""
Run a function on a background thread; a caller may wait with a timeout and move on.

Also: whether an event loop or a task runs on the current thread.
"""

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
"""Seconds after which a caller starts a second thread if the first has not begun."""
THREAD_LOST_AFTER = 1.0
"""Seconds after which a thread that has not begun is taken for lost."""
FRAME_SLOTS = 20_000
"""Stack slots of a thread's first frame; CPython rounds them up, here to 256 KB."""
EXTRA_WAIT = 0.05
"""Seconds that a caller waits for bounded work past the limit of that work."""


class Completion:
    """Something that ends once; threads and event loops can wait for it."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._ended.is_set()

    def end(self) -> None:
        """Note the end and wake all waiting threads and event loops."""
        with self._lock:
            self._ended.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether it ended."""
        return self._ended.wait(max(0.0, timeout))

    async def wait_async(self, timeout: float) -> bool:
        """Wait as `wait` does, on the running loop, without blocking it."""
        import asyncio  # only where a loop is running already

        loop = asyncio.get_running_loop()
        woken = asyncio.Event()  # so that the loop's callback is asyncio's own `set`

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if self._ended.is_set():
                return True
            self._callbacks.append(wake)
        timer = loop.call_later(max(0.0, timeout), woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()
        return self._ended.is_set()


def wait_for_all(parts: Sequence[Completion], timeout: float) -> bool:
    """Wait at most ``timeout`` seconds in all; return whether all have ended."""
    deadline = time.monotonic() + timeout
    for part in parts:
        part.wait(deadline - time.monotonic())
    return all(part.ended for part in parts)


class BackgroundTask(Completion):
    """
    A function that runs on a background thread, which ends with the process.

    Where no thread can be started, as when the interpreter exits, it runs at once on
    the calling thread.

    ``threading.Thread.start`` would wait for its thread to begin, without a limit. An
    exception that a runtime raises in the calling thread during that time may end the
    new thread instead, before its first line (CPython, 3.10 to 3.13). Therefore a
    waiting caller starts a second thread, and the first one that begins does the work.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._pending = [work]
        """Empty once a thread has begun the work."""
        self._started_at = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for, even because a thread is lost."""
        if self._ended.is_set():
            return True
        if self._began:
            return False
        return time.monotonic() - self._started_at > THREAD_LOST_AFTER

    @property
    def _began(self) -> bool:
        return not self._pending

    def start(self) -> BackgroundTask:
        """Run the function in the background."""
        if not self.start_thread():
            self._run(on_caller=True)
        return self

    def start_thread(self) -> bool:
        """Run the function on a new thread; False where none can be started."""
        self._started_at = time.monotonic()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            return False
        return True

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether it ended."""
        if not self._began:
            first_wait = min(timeout, NEXT_THREAD_AFTER)
            if super().wait(first_wait):
                return True
            self._start_again()
            timeout -= first_wait
        return super().wait(timeout)

    async def wait_async(self, timeout: float) -> bool:
        """Wait as `wait` does, on the running loop, without blocking it."""
        if not self._began:
            first_wait = min(timeout, NEXT_THREAD_AFTER)
            if await super().wait_async(first_wait):
                return True
            self._start_again()
            timeout -= first_wait
        return await super().wait_async(timeout)

    def _start_again(self) -> None:
        if not self._began:
            self.start_thread()

    def _run(self, *, on_caller: bool = False) -> None:
        try:
            work = self._pending.pop()
        except IndexError:  # another thread has begun the work
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
        """Run the work in a frame of its own, which a trace function sees."""
        work()

    if sys.version_info >= (3, 11):
        # CPython gives a thread 16 KB for its frames, maps more memory when these are
        # full and unmaps it again (_PyThreadState_PushFrame). A call across that
        # boundary takes ten times as long, and an import makes thousands of calls at
        # the same depth. This frame claims more than it needs, so that all further
        # frames lie in one mapping.
        _do.__code__ = _do.__code__.replace(co_stacksize=FRAME_SLOTS)


def runs_task(thread: int) -> bool:
    """
    Whether a thread runs a background task.

    An observer or a callback that evaluates a flag there must not wait for the start,
    because the start may wait for that task.
    """
    return thread in _task_threads


_task_threads: list[int] = []


def run_bounded(work: Callable[[bool], object], timeout: float) -> None:
    """
    Run the last flush of a session on a bare thread and wait for it.

    A runtime may raise an exception on the calling thread at any time, which must not
    interrupt the code that holds the only copy of the counts. ``threading.Thread``
    would acquire locks that a thread interrupted by a signal, or by the garbage
    collector, may hold.

    Args:
        work: limits itself to ``timeout``. Its argument ``exiting`` is True when it
            runs on the calling thread, because the interpreter exits and no thread can
            be started.
        timeout: seconds.
    """
    task = BackgroundTask(lambda: work(False))  # noqa: FBT003  reason: `exiting`, by position
    if task.start_thread():
        task.wait(max(0.0, timeout) + EXTRA_WAIT)
    else:
        work(True)  # noqa: FBT003  reason: as above


def on_running_loop() -> bool:
    """Whether an event loop runs on this thread; does not import asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def in_task() -> bool:
    """Whether an asyncio task runs on this thread; does not import asyncio."""
    return on_running_loop() and sys.modules["asyncio"].current_task() is not None
