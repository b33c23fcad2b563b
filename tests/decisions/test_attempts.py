"""Something done once, in the background, and again when it failed."""

from __future__ import annotations

import _thread
import threading
from threading import get_ident

import pytest

from serverless_flags._background import BackgroundTask, run_bounded
from serverless_flags._process.single_flight import SingleFlight
from serverless_flags._work.backoff import Backoff

WAIT = 20.0
"""Seconds; a bound against hanging only."""


@pytest.fixture(name="attempts")
def _attempts(clock):
    attempts = SingleFlight(clock)
    attempts._backoff = Backoff(lambda: 1.0)
    return attempts


@pytest.fixture(name="slow")
def _slow():
    """Return work that lasts until the test is over, or `free` is set."""

    class Slow:
        def __init__(self) -> None:
            self.began, self.free = threading.Event(), threading.Event()
            self.times = 0

        def __call__(self) -> None:
            self.times += 1
            self.began.set()
            self.free.wait(WAIT)

    slow = Slow()
    yield slow
    slow.free.set()


class TestOneAtATime:
    def test_whoever_comes_second_gets_the_first_one(self, attempts, slow) -> None:
        """There is one attempt to wait for, however many ask for it."""
        first, second = attempts.begin(slow), attempts.begin(slow)
        slow.free.set()

        assert first is second
        assert first.wait(WAIT)
        assert 1 == slow.times

    def test_threads_begin_one(self, attempts, slow) -> None:
        """The gate is for many at once."""
        gate, begun = threading.Barrier(8), []

        def begin() -> None:
            gate.wait(WAIT)
            begun.append(attempts.begin(slow))

        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)

        assert 1 == len(set(begun))

    def test_it_is_under_way_until_it_has_ended(self, attempts, slow) -> None:
        """Before and afterwards there is none, though another could be made."""
        before = attempts.under_way, attempts.open
        attempt = attempts.begin(slow)
        during = attempts.under_way, attempts.open
        slow.free.set()
        attempt.wait(WAIT)

        assert (False, True) == before
        assert (True, True) == during
        assert (False, True) == (attempts.under_way, attempts.open)

    def test_it_is_under_way_before_its_beginning_is_noted(
        self, attempts, monkeypatch
    ) -> None:
        """The thread may be ahead of the one that began it."""
        saw, looked = [], threading.Event()
        start = _thread.start_new_thread

        def start_and_wait(*args) -> None:
            start(*args)
            looked.wait(WAIT)

        def work() -> None:
            saw.append(attempts.under_way)
            looked.set()

        monkeypatch.setattr(_thread, "start_new_thread", start_and_wait)
        attempts.begin(work)

        assert [True] == saw

    def test_one_that_was_not_noted_is_waited_for_all_the_same(
        self, attempts, slow, monkeypatch
    ) -> None:
        """An interruption of the one that began it leaves two, one after the other."""
        start = _thread.start_new_thread

        def start_and_fail(*args) -> None:
            start(*args)
            slow.began.wait(WAIT)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(_thread, "start_new_thread", start_and_fail)
            with pytest.raises(KeyboardInterrupt):
                attempts.begin(slow)
        done = []
        second = attempts.begin(lambda: done.append(slow.free.is_set()))
        slow.free.set()
        second.wait(WAIT)

        assert [True] == done


class TestAgain:
    def test_an_attempt_that_failed_is_made_again_later(self, attempts, clock) -> None:
        """After one second, two, four: the delays double."""
        made, delays = [], []
        for _ in range(4):
            seconds = 0
            while (
                attempt := attempts.begin(lambda: (made.append(1), attempts.fail("no")))
            ) is None:
                assert not attempts.open
                clock.advance(1)
                seconds += 1
            attempt.wait(WAIT)
            delays.append(seconds)

        assert [0, 1, 2, 4] == delays
        assert 4 == len(made)
        assert "no" == attempts.error

    def test_without_a_failure_it_is_made_again_at_once(self, attempts) -> None:
        """Whoever uses it decides whether once was enough."""
        made = []
        for _ in range(3):
            attempts.begin(lambda: made.append(1)).wait(WAIT)

        assert 3 == len(made)
        assert attempts.error is None


class TestWaiting:
    def test_a_thread_that_waits_does_not_wait_again(self, attempts, slow) -> None:
        """A signal handler on it would wait for a wait that it holds up."""
        attempt, nested = attempts.begin(slow), []
        wait = attempt.wait

        def interrupted(timeout: float) -> bool:
            nested.append(attempts.must_not_wait(get_ident()))
            attempts.wait(attempt, WAIT)  # returns at once
            nested.append(attempts.must_not_wait(get_ident()))
            slow.free.set()
            return wait(timeout)

        attempt.wait = interrupted
        attempts.wait(attempt, WAIT)

        assert [True, True] == nested
        assert not attempts.must_not_wait(get_ident())

    def test_the_thread_that_does_the_work_does_not_wait(self, attempts) -> None:
        """What it calls may ask for what it is making."""
        saw, others = [], []

        def work() -> None:
            saw.append(attempts.must_not_wait(get_ident()))
            attempts.wait(attempts._attempt or BackgroundTask(list), WAIT)
            others.append(attempts.must_not_wait(main))

        main = get_ident()
        attempts.begin(work).wait(WAIT)

        assert [True] == saw
        assert [False] == others

    def test_an_interrupted_wait_is_over(self, attempts, slow) -> None:
        """The thread may wait for the next one."""
        attempt = attempts.begin(slow)

        def interrupted(_timeout: float) -> bool:
            raise KeyboardInterrupt

        attempt.wait = interrupted
        with pytest.raises(KeyboardInterrupt):
            attempts.wait(attempt, WAIT)

        assert not attempts.must_not_wait(get_ident())

    def test_waiting_for_what_has_ended_holds_nobody_up(self, attempts) -> None:
        """A handler that comes after the end, in the same wait, may go on."""
        attempt, saw = attempts.begin(lambda: None), []
        wait = attempt.wait

        def then_interrupted(timeout: float) -> bool:
            wait(timeout)
            saw.append(attempts.must_not_wait(get_ident()))
            return True

        attempt.wait = then_interrupted
        attempts.wait(attempt, WAIT)

        assert [False] == saw


class TestBounded:
    """The last work of a session, on a bare thread."""

    def test_it_is_waited_for(self) -> None:
        """It runs beside the caller, who may be interrupted."""
        threads = []
        run_bounded(lambda exiting: threads.append((get_ident(), exiting)), WAIT)
        ((thread, exiting),) = threads

        assert get_ident() != thread
        assert exiting is False

    @pytest.mark.parametrize("timeout", [0.0, 0.01, -1.0])
    def test_but_no_longer_than_its_time(self, slow, timeout) -> None:
        """What hangs is left behind; it goes on."""
        run_bounded(lambda _: slow(), timeout)

        assert not slow.free.is_set()

    def test_an_interruption_leaves_it_running(self, slow, monkeypatch) -> None:
        """The only copy of counts is not on the thread that is interrupted."""
        done = threading.Event()

        def work(_exiting: bool) -> None:
            slow()
            done.set()

        def wait(_errand: BackgroundTask, _timeout: float) -> bool:
            slow.began.wait(WAIT)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(BackgroundTask, "wait", wait)
            with pytest.raises(KeyboardInterrupt):
                run_bounded(work, WAIT)
        slow.free.set()

        assert done.wait(WAIT)
        assert 1 == slow.times

    def test_work_that_fails_has_ended_too(self, caplog) -> None:
        """The failure is in the log, and nobody waits for the rest of the time."""
        run_bounded(lambda _: 1 / 0, WAIT)

        assert "ZeroDivisionError" in caplog.text

    def test_without_threads_it_runs_on_the_caller(self, monkeypatch) -> None:
        """As the interpreter exits; the work is told, for it must not block there."""

        def refuse(*_args: object) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr("_thread.start_new_thread", refuse)
        threads = []
        run_bounded(lambda exiting: threads.append((get_ident(), exiting)), WAIT)

        assert [(get_ident(), True)] == threads
