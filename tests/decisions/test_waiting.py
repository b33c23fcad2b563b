"""Work on a thread of its own, and waiting for it from threads and event loops."""

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


def test_waiting_ends_with_the_work() -> None:
    """Whoever waits is told that it ended; whoever comes later, at once."""
    free = threading.Event()
    errand = BackgroundTask(lambda: free.wait(PATIENCE)).start()
    assert not errand.ended
    assert not errand.wait(0)
    assert not errand.wait(-5)
    free.set()

    assert errand.wait(PATIENCE)
    assert errand.ended
    assert errand.wait(0)


def test_an_errand_runs_beside_the_caller() -> None:
    """On a thread of its own, which no exit waits for."""
    threads = []
    errand = BackgroundTask(lambda: threads.append(threading.current_thread())).start()
    assert errand.wait(PATIENCE)

    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


@pytest.fixture(name="no_threads")
def _no_threads(monkeypatch):
    """Start no thread, as when the interpreter exits."""
    monkeypatch.setattr("_thread.start_new_thread", _no_thread)


def test_an_errand_without_a_thread_runs_at_once(no_threads) -> None:
    """Late is not lost: the caller does the work."""
    threads = []
    errand = BackgroundTask(lambda: threads.append(threading.current_thread())).start()

    assert [threading.current_thread()] == threads
    assert errand.ended


def test_a_thread_that_never_begins_has_ended(
    monkeypatch,
) -> None:
    """An exception of others may end it before its first line."""
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: 1)
    monkeypatch.setattr("serverless_flags._background.THREAD_LOST_AFTER", 0.01)
    errand = BackgroundTask(lambda: None).start()
    assert not Completion.wait(errand, 0.05)  # which starts no other one

    assert errand.ended


class TestLostThreads:
    """An exception of others may end a thread before its first line."""

    @pytest.fixture(name="lost")
    def _lost(self, monkeypatch):
        """Let the first thread never begin; return the functions of all of them."""
        start, started = _thread.start_new_thread, []

        def lose(run, given):
            started.append(run)
            return 1 if len(started) == 1 else start(run, given)

        monkeypatch.setattr("_thread.start_new_thread", lose)
        return started

    def test_who_waits_starts_another_one(self, lost) -> None:
        """The work is done once, even if the first thread was only late."""
        done = []
        errand = BackgroundTask(lambda: done.append(1)).start()

        assert errand.wait(PATIENCE)
        lost[0]()
        assert [1] == done
        assert 2 == len(lost)

    def test_a_loop_that_waits_does_too(self, lost) -> None:
        """Without blocking it."""
        done = []
        errand = BackgroundTask(lambda: done.append(1)).start()

        assert asyncio.run(errand.wait_async(PATIENCE))
        assert [1] == done

    def test_the_last_work_is_done(self, lost) -> None:
        """A session's last flush is waited for in this way."""
        done = []
        run_bounded(done.append, PATIENCE)

        assert [False] == done

    def test_no_other_thread_where_there_is_none(self, monkeypatch) -> None:
        """The waiting ends at its timeout."""
        monkeypatch.setattr("_thread.start_new_thread", lambda *_: 1)
        errand = BackgroundTask(lambda: None).start()
        monkeypatch.undo()
        monkeypatch.setattr("_thread.start_new_thread", _no_thread)

        assert not errand.wait(0.01)

    def test_what_has_begun_is_not_started_again(self, monkeypatch) -> None:
        """A thread that begins late has the work."""
        free, begins, started = threading.Event(), threading.Event(), []
        start = _thread.start_new_thread

        def begin_late(run, given):
            started.append(run)
            return start(lambda: begins.wait(PATIENCE) and run(*given), ())

        monkeypatch.setattr("_thread.start_new_thread", begin_late)
        monkeypatch.setattr("serverless_flags._background.NEXT_THREAD_AFTER", PATIENCE)
        errand = BackgroundTask(lambda: free.wait(PATIENCE)).start()
        monkeypatch.setattr(
            Completion, "wait", lambda *_: begins.set() or _begun(errand)
        )

        assert not errand.wait(PATIENCE)
        assert 1 == len(started)
        free.set()


def _no_thread(*_args) -> None:
    message = "can't start new thread"
    raise RuntimeError(message)


def _begun(errand) -> bool:
    """Wait until the work has begun; it has not ended."""
    while not errand._began:
        time.sleep(0.001)
    return False


def test_work_that_fails_has_ended_too(caplog) -> None:
    """Nothing waits for what will not come, and the log has the failure."""
    errand = BackgroundTask(lambda: 1 / 0).start()

    assert errand.wait(PATIENCE)
    assert "a background task failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


class TestAll:
    def test_all_have_ended(self) -> None:
        """However many they are, and whichever ends last."""
        parts = [BackgroundTask(lambda: None).start() for _ in range(3)]

        assert wait_for_all(parts, PATIENCE)
        assert wait_for_all([], 0)

    def test_one_has_not(self) -> None:
        """The time is for all together, and the others have had their chance."""
        ended, never = Completion(), Completion()
        ended.end()

        assert not wait_for_all([never, ended], 0.01)
        assert not wait_for_all([ended, never], -1)


class TestOnALoop:
    def test_the_loop_goes_on_while_one_waits(self) -> None:
        """Other tasks run; the end wakes the waiting one."""
        waitable = Completion()

        async def main():
            waiting = asyncio.ensure_future(waitable.wait_async(PATIENCE))
            await asyncio.sleep(0)
            assert not waiting.done()
            threading.Thread(target=waitable.end).start()
            return await waiting

        assert asyncio.run(main()) is True

    def test_what_has_ended_is_not_waited_for(self) -> None:
        """Not even one turn of the loop."""
        waitable = Completion()
        waitable.end()
        coroutine = waitable.wait_async(PATIENCE)

        async def main():
            return await coroutine

        assert asyncio.run(main()) is True

    @pytest.mark.parametrize("timeout", [0.01, 0, -1])
    def test_a_timeout_ends_the_waiting(self, timeout) -> None:
        """The work goes on; its end, later, disturbs nobody."""
        waitable = Completion()

        async def main():
            ended = await waitable.wait_async(timeout)
            waitable.end()
            await asyncio.sleep(0)
            return ended

        assert asyncio.run(main()) is False

    def test_the_end_may_come_with_the_timeout(self) -> None:
        """Both wake the same waiting once."""
        waitable = Completion()

        async def main():
            waiting = asyncio.ensure_future(waitable.wait_async(0))
            await asyncio.sleep(0)
            waitable.end()
            return await waiting

        assert asyncio.run(main()) is True

    def test_a_cancelled_waiting_leaves_nothing(self) -> None:
        """A cancelled task is gone; the end wakes nobody."""
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

    def test_a_loop_that_is_closed_is_not_woken(self) -> None:
        """The work of one invocation may outlive the loop of it."""
        waitable = Completion()
        asyncio.run(waitable.wait_async(0))
        waitable.end()

        assert waitable.ended

    def test_threads_and_loops_wait_together(self) -> None:
        """One end wakes them all."""
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


def test_a_failure_stays_where_the_caller_does_the_work(no_threads, caplog) -> None:
    """It is the task's, and the log has it."""
    errand = BackgroundTask(lambda: 1 / 0).start()

    assert errand.ended
    assert "ZeroDivisionError" in caplog.text


def test_an_exception_of_others_passes_where_the_caller_does_the_work(
    no_threads, monkeypatch
) -> None:
    """It was raised into the caller's thread."""
    name = f"{__name__}.OvertimeError"
    monkeypatch.setattr("serverless_flags._passing._names", frozenset({name}))

    def work():
        raise OvertimeError

    with pytest.raises(OvertimeError):
        BackgroundTask(work).start()


class OvertimeError(Exception):
    """What a runtime raises into a running function."""
