"""Single-flight attempts in the background that are repeated after a failure."""

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
    """Return work that lasts until the test ends or sets ``free``."""

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
    def test_a_second_caller_joins_the_attempt(self, attempts, slow) -> None:
        """All callers wait for the same attempt."""
        first, second = attempts.begin(slow), attempts.begin(slow)
        slow.free.set()

        assert first is second
        assert first.wait(WAIT)
        assert 1 == slow.times

    def test_concurrent_threads_start_one_attempt(self, attempts, slow) -> None:
        """However many threads ask at once, one attempt is started."""
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
        """`under_way` is True only during an attempt; `open` while one is allowed."""
        before = attempts.under_way, attempts.open
        attempt = attempts.begin(slow)
        during = attempts.under_way, attempts.open
        slow.free.set()
        attempt.wait(WAIT)

        assert (False, True) == before
        assert (True, True) == during
        assert (False, True) == (attempts.under_way, attempts.open)

    def test_it_is_under_way_before_it_is_registered(
        self, attempts, monkeypatch
    ) -> None:
        """The new thread may run before the starting thread registers the attempt."""
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

    def test_an_unregistered_attempt_is_waited_for(
        self, attempts, slow, monkeypatch
    ) -> None:
        """If the starting thread is interrupted, a second attempt follows the first."""
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
    def test_a_failed_attempt_is_repeated_with_back_off(self, attempts, clock) -> None:
        """After failures the back-off doubles: one second, two, four."""
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

    def test_after_a_success_another_attempt_is_allowed(self, attempts) -> None:
        """The caller decides whether one success is enough."""
        made = []
        for _ in range(3):
            attempts.begin(lambda: made.append(1)).wait(WAIT)

        assert 3 == len(made)
        assert attempts.error is None


class TestWaiting:
    def test_a_thread_that_waits_does_not_wait_again(self, attempts, slow) -> None:
        """A signal handler on that thread would wait for its own thread."""
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

    def test_the_working_thread_does_not_wait(self, attempts) -> None:
        """Code that the attempt calls may ask for the same attempt."""
        saw, others = [], []

        def work() -> None:
            saw.append(attempts.must_not_wait(get_ident()))
            attempts.wait(attempts._attempt or BackgroundTask(list), WAIT)
            others.append(attempts.must_not_wait(main))

        main = get_ident()
        attempts.begin(work).wait(WAIT)

        assert [True] == saw
        assert [False] == others

    def test_after_an_interrupted_wait_the_thread_may_wait(
        self, attempts, slow
    ) -> None:
        """An exception that interrupts a wait does not prevent the next wait."""
        attempt = attempts.begin(slow)

        def interrupted(_timeout: float) -> bool:
            raise KeyboardInterrupt

        attempt.wait = interrupted
        with pytest.raises(KeyboardInterrupt):
            attempts.wait(attempt, WAIT)

        assert not attempts.must_not_wait(get_ident())

    def test_waiting_for_an_ended_attempt_returns(self, attempts) -> None:
        """A signal handler that runs after the end, during the same wait, continues."""
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
    """The last work of a session, run by `run_bounded`."""

    def test_the_caller_waits_for_it(self) -> None:
        """It runs on another thread, because the caller may be interrupted."""
        threads = []
        run_bounded(lambda exiting: threads.append((get_ident(), exiting)), WAIT)
        ((thread, exiting),) = threads

        assert get_ident() != thread
        assert exiting is False

    @pytest.mark.parametrize("timeout", [0.0, 0.01, -1.0])
    def test_the_wait_has_a_timeout(self, slow, timeout) -> None:
        """Work that hangs continues, and the caller does not wait for it."""
        run_bounded(lambda _: slow(), timeout)

        assert not slow.free.is_set()

    def test_it_survives_an_interruption_of_the_caller(self, slow, monkeypatch) -> None:
        """An exception in the calling thread does not stop a flush."""
        done = threading.Event()

        def work(_exiting: bool) -> None:
            slow()
            done.set()

        def wait(_task: BackgroundTask, _timeout: float) -> bool:
            slow.began.wait(WAIT)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(BackgroundTask, "wait", wait)
            with pytest.raises(KeyboardInterrupt):
                run_bounded(work, WAIT)
        slow.free.set()

        assert done.wait(WAIT)
        assert 1 == slow.times

    def test_failed_work_ends_the_wait(self, caplog) -> None:
        """The failure is logged, and the caller does not wait until the timeout."""
        run_bounded(lambda _: 1 / 0, WAIT)

        assert "ZeroDivisionError" in caplog.text

    def test_without_threads_it_runs_on_the_caller(self, monkeypatch) -> None:
        """At interpreter exit the work runs on the caller, with the argument True."""

        def refuse(*_args: object) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr("_thread.start_new_thread", refuse)
        threads = []
        run_bounded(lambda exiting: threads.append((get_ident(), exiting)), WAIT)

        assert [(get_ident(), True)] == threads
