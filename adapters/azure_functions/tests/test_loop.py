"""The wakeup fd, by which signals wake the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from serverless_flags_azure_functions import _loop


@pytest.fixture(autouse=True)
def _process(monkeypatch):
    """Give each test the state of a new process."""
    wakers: dict[int, _loop._Waker] = {}
    monkeypatch.setattr(_loop, "_wakers", wakers)
    yield
    signal.set_wakeup_fd(-1)
    for waker in wakers.values():
        os.close(waker.writer)


def test_a_function_that_handled_a_signal():
    """The wakeup fd that asyncio resets is set again, from any thread."""

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
    """The wakeup fd of a loop that handles signals itself is not replaced."""

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


def test_a_closed_loop_is_ignored():
    """After the loop is closed, nothing is set and nothing raised."""
    asyncio.run(_wake())
    signal.set_wakeup_fd(-1)
    _loop.wake_loop_again()

    assert signal.set_wakeup_fd(-1) == -1


def test_without_a_loop_or_off_the_main_thread_nothing_is_set():
    """Without a running loop on the main thread, no wakeup fd is set."""
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
