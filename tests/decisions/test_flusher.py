"""Flushes: in time, and each bucket sent once."""

from __future__ import annotations

import contextlib
import logging

import pytest

from serverless_flags._protocols import Outcome, Sent

TAKEN = Sent(Outcome.TAKEN, 202)
DOWN = Sent(Outcome.NOT_DELIVERED, 503, "the server answered 503", 60.0)
NEVER = Sent(Outcome.NOT_DELIVERED, 413, "the server answered 413")
LOST = Sent(Outcome.UNKNOWN, None, "timed out")


class TestWhen:
    def test_a_flush_is_due_once_per_interval(self, flushing, clock, bucket) -> None:
        """Counted from the last collecting, whatever came of it."""
        it = flushing(TAKEN, counts=[bucket(a=1)])
        it.flusher.interval = 60.0

        assert not it.flusher.due(clock.advance(59))
        assert it.flusher.due(clock.advance(1))
        it.flusher.flush(1.0)
        assert not it.flusher.due(clock.advance(59))
        assert it.flusher.due(clock.advance(1))

    def test_without_an_interval_every_invocation_flushes_at_its_end(
        self, flushing, clock
    ) -> None:
        """So nothing is due beside it."""
        it = flushing()
        it.flusher.interval = 0.0

        assert not it.flusher.due(clock.advance(1e6))
        assert it.flusher.due_at_end()
        it.flusher.interval = 60.0
        assert not it.flusher.due_at_end()

    def test_a_failing_server_is_left_alone(self, flushing, clock, bucket) -> None:
        """PendingCounts wait here; they are merged, not lost."""
        it = flushing(DOWN, counts=[bucket(a=1)])
        it.flusher.flush(1.0)
        it.flusher.interval = 10.0
        assert not it.flusher.due(clock.advance(59))
        it.flusher.interval = 0.0
        assert not it.flusher.due_at_end()

        clock.advance(1)
        assert it.flusher.due_at_end()
        it.flusher.interval = 10.0
        assert it.flusher.due(clock())

    def test_a_failure_that_a_freeze_cut_off_says_nothing(
        self, flushing, clock, bucket
    ) -> None:
        """The server could not answer an instance that did not run."""
        it = flushing(lambda: (clock.advance(600), DOWN)[1], counts=[bucket(a=1)])
        it.flusher.flush(1.0)

        assert it.flusher.due_at_end()
        assert it.flusher.last_error == DOWN.error
        assert it.flusher.counts.waiting

    @pytest.mark.parametrize(
        ("age", "due"), [(0.3, True), (0.31, False), (2.0, False), (2.1, True)]
    )
    def test_a_slow_server_is_waited_for_once(
        self, flushing, clock, bucket, age, due
    ) -> None:
        """While one flush hangs, invocations do not wait for another; nor for ever."""
        it = flushing(counts=[bucket(a=1)])
        assert 1 == len(it.flusher.collect())
        clock.advance(age)

        assert due is it.flusher.due_at_end()

    def test_without_client_or_server_nothing_is_due(self, flushing, clock) -> None:
        """There is nothing to count, or nobody to tell."""
        for it in (flushing(upstream=False), flushing(client=False)):
            it.flusher.interval = 1.0

            assert not it.flusher.due(clock.advance(100))
            assert [] == it.flusher.collect()
            assert it.flusher.flush(1.0)
            assert it.flusher.finish(1.0)


class TestWhat:
    def test_counts_are_taken(self, flushing, clock, bucket) -> None:
        """The bucket is sent as the client counted it, within the timeout."""
        it = flushing(lambda: (clock.advance(2), TAKEN)[1], counts=[bucket(a=1)])

        assert it.flusher.flush(0.7)
        assert [(bucket(a=1), 0.7)] == it.upstream.asked
        assert [("taken", 2)] == it.observed
        assert it.flusher.last_error is None

    def test_nothing_counted_is_nothing_sent(self, flushing) -> None:
        """No request is made, nobody is told, and nothing is left to send."""
        it = flushing()

        assert it.flusher.flush(1.0)
        assert [] == it.upstream.asked == it.observed

    def test_refused_counts_go_with_the_next_flush(
        self, flushing, bucket, caplog
    ) -> None:
        """Even if nothing new was counted; the log tells the trouble and its end."""
        caplog.set_level(logging.INFO)
        it = flushing(DOWN, DOWN, TAKEN, counts=[bucket(a=1), bucket(a=2, b=3)])

        assert [False, False, True] == [it.flusher.flush(1.0) for _ in range(3)]
        assert [{"a": 1}, {"a": 3, "b": 3}, {"a": 3, "b": 3}] == it.sent()
        assert ["kept", "kept", "taken"] == [word for word, _ in it.observed]
        assert [
            "counts were not accepted (kept): the server answered 503",
            "counts are accepted again",
        ] == caplog.messages
        assert it.flusher.last_error is None

    @pytest.mark.parametrize(
        ("answer", "word"), [(NEVER, "refused"), (LOST, "unknown")]
    )
    def test_lost_counts_are_never_sent_again(
        self, flushing, bucket, answer, word
    ) -> None:
        """They are booked; the next flush begins anew."""
        it = flushing(answer, TAKEN, counts=[bucket(a=2), bucket(a=1)])
        assert not it.flusher.flush(1.0)
        assert it.flusher.last_error == answer.error
        assert it.flusher.flush(1.0)

        assert [{"a": 2}, {"a": 1}] == it.sent()
        assert word == it.observed[0][0]
        counts = it.flusher.counts
        assert 2 == counts.unknown + counts.uncounted

    def test_a_fault_while_collecting_sends_nothing(self, flushing, client) -> None:
        """Whoever waits for the end does not wait for a flush that never left."""

        def fail():
            raise KeyError

        it = flushing()
        client.drain_counts = fail
        with pytest.raises(KeyError):
            it.flusher.flush(1.0)
        client.drain_counts = lambda: None

        assert it.flusher.finish(0.0)

    @pytest.mark.parametrize("fault", [KeyError("x"), KeyboardInterrupt()])
    def test_a_fault_while_sending_books_the_counts(
        self, flushing, bucket, fault
    ) -> None:
        """What was written is not known, so the counts are not sent again."""
        it = flushing(fault, counts=[bucket(a=2)])
        with contextlib.suppress(KeyboardInterrupt):
            assert not it.flusher.flush(1.0)

        assert 2 == it.flusher.counts.unknown
        assert not it.flusher.counts.waiting
        assert it.flusher.finish(1.0)
