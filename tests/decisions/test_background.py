"""Background tasks, and waiting for them from threads and event loops."""

from __future__ import annotations

import _thread
import asyncio
import threading
import time

import pytest

from serverless_flags._background import (
    BackgroundTask,
    Completion,
    run_bounded,
    wait_for_all,
)

PATIENCE = 20


def test_waiting_ends_with_the_task() -> None:
    """Waiting returns when the task ends, and at once after it has ended."""
    free = threading.Event()
    task = BackgroundTask(lambda: free.wait(PATIENCE)).start()
    assert not task.ended
    assert not task.wait(0)
    assert not task.wait(-5)
    free.set()

    assert task.wait(PATIENCE)
    assert task.ended
    assert task.wait(0)


def test_a_task_runs_on_another_thread() -> None:
    """It is a daemon thread, which does not delay the exit."""
    threads = []
    task = BackgroundTask(lambda: threads.append(threading.current_thread())).start()
    assert task.wait(PATIENCE)

    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


@pytest.fixture(name="no_threads")
def _no_threads(monkeypatch):
    """Let no thread start, as at interpreter exit."""
    monkeypatch.setattr("_thread.start_new_thread", _no_thread)


def test_without_threads_a_task_runs_on_the_caller(no_threads) -> None:
    """The caller does the work itself."""
    threads = []
    task = BackgroundTask(lambda: threads.append(threading.current_thread())).start()

    assert [threading.current_thread()] == threads
    assert task.ended


def test_a_lost_thread_counts_as_ended(
    monkeypatch,
) -> None:
    """A runtime's exception may end a thread before its first line."""
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: 1)
    monkeypatch.setattr("serverless_flags._background.THREAD_LOST_AFTER", 0.01)
    task = BackgroundTask(lambda: None).start()
    assert not Completion.wait(task, 0.05)  # which does not start another one

    assert task.ended


class TestLostThreads:
    """A runtime's exception may end a thread before its first line."""

    @pytest.fixture(name="lost")
    def _lost(self, monkeypatch):
        """Let the first thread never begin; return the functions of all threads."""
        start, started = _thread.start_new_thread, []

        def lose(run, given):
            started.append(run)
            return 1 if len(started) == 1 else start(run, given)

        monkeypatch.setattr("_thread.start_new_thread", lose)
        return started

    def test_waiting_starts_another_thread(self, lost) -> None:
        """The work is done once, even if the first thread was only late."""
        done = []
        task = BackgroundTask(lambda: done.append(1)).start()

        assert task.wait(PATIENCE)
        lost[0]()
        assert [1] == done
        assert 2 == len(lost)

    def test_waiting_on_an_event_loop_does_too(self, lost) -> None:
        """It does not block the loop."""
        done = []
        task = BackgroundTask(lambda: done.append(1)).start()

        assert asyncio.run(task.wait_async(PATIENCE))
        assert [1] == done

    def test_the_last_work_is_done(self, lost) -> None:
        """A session's last flush uses `run_bounded`."""
        done = []
        run_bounded(done.append, PATIENCE)

        assert [False] == done

    def test_no_second_thread_where_none_can_start(self, monkeypatch) -> None:
        """The wait ends at its timeout."""
        monkeypatch.setattr("_thread.start_new_thread", lambda *_: 1)
        task = BackgroundTask(lambda: None).start()
        monkeypatch.undo()
        monkeypatch.setattr("_thread.start_new_thread", _no_thread)

        assert not task.wait(0.01)

    def test_a_task_that_has_begun_is_not_started_again(self, monkeypatch) -> None:
        """A thread that begins late does the work."""
        free, begins, started = threading.Event(), threading.Event(), []
        start = _thread.start_new_thread

        def begin_late(run, given):
            started.append(run)
            return start(lambda: begins.wait(PATIENCE) and run(*given), ())

        monkeypatch.setattr("_thread.start_new_thread", begin_late)
        monkeypatch.setattr("serverless_flags._background.NEXT_THREAD_AFTER", PATIENCE)
        task = BackgroundTask(lambda: free.wait(PATIENCE)).start()
        monkeypatch.setattr(Completion, "wait", lambda *_: begins.set() or _begun(task))

        assert not task.wait(PATIENCE)
        assert 1 == len(started)
        free.set()


def _no_thread(*_args) -> None:
    message = "can't start new thread"
    raise RuntimeError(message)


def _begun(task) -> bool:
    """Wait until the work has begun; it has not ended."""
    while not task._began:
        time.sleep(0.001)
    return False


def test_failed_work_ends_the_wait(caplog) -> None:
    """Waiting returns, and the failure is logged."""
    task = BackgroundTask(lambda: 1 / 0).start()

    assert task.wait(PATIENCE)
    assert "a background task failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


class TestAll:
    def test_waiting_for_all_of_them(self) -> None:
        """`wait_for_all` returns True when each has ended, in any order."""
        parts = [BackgroundTask(lambda: None).start() for _ in range(3)]

        assert wait_for_all(parts, PATIENCE)
        assert wait_for_all([], 0)

    def test_waiting_for_all_times_out(self) -> None:
        """The timeout is for all together."""
        ended, never = Completion(), Completion()
        ended.end()

        assert not wait_for_all([never, ended], 0.01)
        assert not wait_for_all([ended, never], -1)


class TestOnALoop:
    def test_waiting_does_not_block_the_loop(self) -> None:
        """Other tasks run; the end wakes the waiting one."""
        waitable = Completion()

        async def main():
            waiting = asyncio.ensure_future(waitable.wait_async(PATIENCE))
            await asyncio.sleep(0)
            assert not waiting.done()
            threading.Thread(target=waitable.end).start()
            return await waiting

        assert asyncio.run(main()) is True

    def test_waiting_for_an_ended_one_returns_at_once(self) -> None:
        """It takes not even one turn of the loop."""
        waitable = Completion()
        waitable.end()
        coroutine = waitable.wait_async(PATIENCE)

        async def main():
            return await coroutine

        assert asyncio.run(main()) is True

    @pytest.mark.parametrize("timeout", [0.01, 0, -1])
    def test_waiting_has_a_timeout(self, timeout) -> None:
        """The work continues, and its end has no effect on the loop."""
        waitable = Completion()

        async def main():
            ended = await waitable.wait_async(timeout)
            waitable.end()
            await asyncio.sleep(0)
            return ended

        assert asyncio.run(main()) is False

    def test_the_end_and_the_timeout_may_coincide(self) -> None:
        """Both wake the same waiting task once."""
        waitable = Completion()

        async def main():
            waiting = asyncio.ensure_future(waitable.wait_async(0))
            await asyncio.sleep(0)
            waitable.end()
            return await waiting

        assert asyncio.run(main()) is True

    def test_a_cancelled_wait_is_cleaned_up(self) -> None:
        """When the work ends, it wakes no task."""
        waitable = Completion()

        async def main():
            waiting = asyncio.ensure_future(waitable.wait_async(PATIENCE))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            waitable.end()
            await asyncio.sleep(0)

        asyncio.run(main())

    def test_a_closed_loop_is_not_woken(self) -> None:
        """The work of one invocation may outlast its event loop."""
        waitable = Completion()
        asyncio.run(waitable.wait_async(0))
        waitable.end()

        assert waitable.ended

    def test_threads_and_loops_wait_together(self) -> None:
        """One end wakes all of them."""
        waitable = Completion()
        ended = []
        threads = [
            threading.Thread(
                target=lambda: ended.append(asyncio.run(waitable.wait_async(PATIENCE)))
            ),
            threading.Thread(target=lambda: ended.append(waitable.wait(PATIENCE))),
        ]
        for thread in threads:
            thread.start()
        waitable.end()
        for thread in threads:
            thread.join(PATIENCE)

        assert [True, True] == ended


def test_a_failure_on_the_caller_is_logged(no_threads, caplog) -> None:
    """It does not propagate to the caller."""
    task = BackgroundTask(lambda: 1 / 0).start()

    assert task.ended
    assert "ZeroDivisionError" in caplog.text


def test_a_runtimes_exception_on_the_caller_propagates(no_threads, monkeypatch) -> None:
    """The runtime raised it into the calling thread."""
    name = f"{__name__}.OvertimeError"
    monkeypatch.setattr("serverless_flags._passing._names", frozenset({name}))

    def work():
        raise OvertimeError

    with pytest.raises(OvertimeError):
        BackgroundTask(work).start()


class OvertimeError(Exception):
    """Stands for an exception that a runtime raises into a running function."""
