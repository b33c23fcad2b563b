"""The wakeup fd, by which signals interrupt the event loop's sleep."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from serverless_flags_azure_functions import _loop


@pytest.fixture(autouse=True)
def _process(monkeypatch):
    """Give each test the state of a process of its own."""
    wakers: dict[int, _loop._Waker] = {}
    monkeypatch.setattr(_loop, "_wakers", wakers)
    yield
    signal.set_wakeup_fd(-1)
    for waker in wakers.values():
        os.close(waker.writer)


def test_a_function_that_handled_a_signal():
    """asyncio resets the wakeup fd; it is set again, from whichever thread."""

    async def work() -> tuple[int, int]:
        _loop.wake_loop_at_signals()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.remove_signal_handler(signal.SIGUSR1)
        before = signal.set_wakeup_fd(-1)
        await asyncio.to_thread(_loop.wake_loop_again)
        await asyncio.sleep(0)
        return before, signal.set_wakeup_fd(-1)

    before, after = asyncio.run(work())

    assert before == -1
    assert after == _loop._wakers[os.getpid()].writer


def test_a_loop_that_handles_signals_keeps_its_own():
    """It wakes up at every signal, and would not know of its own ones otherwise."""

    async def work() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        theirs = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
        _loop.wake_loop_at_signals()
        _loop.wake_loop_again()
        await asyncio.sleep(0)
        return theirs, signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)

    theirs, after = asyncio.run(work())

    assert theirs == after


def test_a_loop_that_is_closed_is_left_alone():
    """A refresh may end after it; nothing is raised."""
    asyncio.run(_wake())
    signal.set_wakeup_fd(-1)
    _loop.wake_loop_again()

    assert signal.set_wakeup_fd(-1) == -1


def test_without_a_loop_or_off_the_main_thread_nothing_is_set():
    """A pool's thread cannot, and need not."""
    _loop.wake_loop_at_signals()
    thread = threading.Thread(
        target=lambda: asyncio.run(_wake()), name="not the main thread"
    )
    thread.start()
    thread.join(20)
    _loop.wake_loop_again()

    assert _loop._wakers == {}
    assert signal.set_wakeup_fd(-1) == -1


async def _wake() -> None:
    _loop.wake_loop_at_signals()
