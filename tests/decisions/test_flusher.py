"""Flushes are made when due, and each bucket is sent once."""

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
        """The interval counts from the last flush, whatever its outcome."""
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
        """With interval 0 no flush is due at the start of an invocation."""
        it = flushing()
        it.flusher.interval = 0.0

        assert not it.flusher.due(clock.advance(1e6))
        assert it.flusher.due_at_end()
        it.flusher.interval = 60.0
        assert not it.flusher.due_at_end()

    def test_during_a_back_off_no_flush_is_due(self, flushing, clock, bucket) -> None:
        """Counts are kept and merged while the server fails."""
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

    def test_a_failure_during_a_freeze_does_not_count(
        self, flushing, clock, bucket
    ) -> None:
        """The server could not answer a frozen process, so no back-off starts."""
        it = flushing(lambda: (clock.advance(600), DOWN)[1], counts=[bucket(a=1)])
        it.flusher.flush(1.0)

        assert it.flusher.due_at_end()
        assert it.flusher.last_error == DOWN.error
        assert it.flusher.counts.waiting

    @pytest.mark.parametrize(
        ("age", "due"), [(0.3, True), (0.31, False), (2.0, False), (2.1, True)]
    )
    def test_only_one_invocation_waits_for_a_slow_server(
        self, flushing, clock, bucket, age, due
    ) -> None:
        """While a flush hangs no other waits, until its request must have ended."""
        it = flushing(counts=[bucket(a=1)])
        assert 1 == len(it.flusher.collect())
        clock.advance(age)

        assert due is it.flusher.due_at_end()

    def test_without_client_or_server_nothing_is_due(self, flushing, clock) -> None:
        """Without a client there are no counts, and without a server no requests."""
        for it in (flushing(upstream=False), flushing(client=False)):
            it.flusher.interval = 1.0

            assert not it.flusher.due(clock.advance(100))
            assert [] == it.flusher.collect()
            assert it.flusher.flush(1.0)
            assert it.flusher.finish(1.0)


class TestWhat:
    def test_counts_are_sent(self, flushing, clock, bucket) -> None:
        """The bucket is sent as the client returned it, with the timeout."""
        it = flushing(lambda: (clock.advance(2), TAKEN)[1], counts=[bucket(a=1)])

        assert it.flusher.flush(0.7)
        assert [(bucket(a=1), 0.7)] == it.upstream.asked
        assert [("taken", 2)] == it.observed
        assert it.flusher.last_error is None

    def test_without_counts_nothing_is_sent(self, flushing) -> None:
        """No request is made, no observer is called, and the flush succeeds."""
        it = flushing()

        assert it.flusher.flush(1.0)
        assert [] == it.upstream.asked == it.observed

    def test_counts_that_were_not_accepted_are_sent_again(
        self, flushing, bucket, caplog
    ) -> None:
        """The next flush sends them; the log has the problem and its end."""
        caplog.set_level(logging.INFO)
        it = flushing(DOWN, DOWN, TAKEN, counts=[bucket(a=1), bucket(a=2, b=3)])

        assert [False, False, True] == [it.flusher.flush(1.0) for _ in range(3)]
        assert [{"a": 1}, {"a": 3, "b": 3}, {"a": 3, "b": 3}] == it.sent()
        assert ["kept", "kept", "taken"] == [outcome for outcome, _ in it.observed]
        assert [
            "counts were not accepted (kept): the server answered 503",
            "counts are accepted again",
        ] == caplog.messages
        assert it.flusher.last_error is None

    @pytest.mark.parametrize(
        ("answer", "outcome"), [(NEVER, "refused"), (LOST, "unknown")]
    )
    def test_unknown_counts_are_never_sent_again(
        self, flushing, bucket, answer, outcome
    ) -> None:
        """They are recorded as unknown; the next flush starts with new counts."""
        it = flushing(answer, TAKEN, counts=[bucket(a=2), bucket(a=1)])
        assert not it.flusher.flush(1.0)
        assert it.flusher.last_error == answer.error
        assert it.flusher.flush(1.0)

        assert [{"a": 2}, {"a": 1}] == it.sent()
        assert outcome == it.observed[0][0]
        counts = it.flusher.counts
        assert 2 == counts.unknown + counts.uncounted

    def test_an_error_while_draining_sends_nothing(self, flushing, client) -> None:
        """The last flush does not wait for a delivery that was never sent."""

        def fail():
            raise KeyError

        it = flushing()
        client.drain_counts = fail
        with pytest.raises(KeyError):
            it.flusher.flush(1.0)
        client.drain_counts = lambda: None

        assert it.flusher.finish(0.0)

    @pytest.mark.parametrize("fault", [KeyError("x"), KeyboardInterrupt()])
    def test_an_error_while_sending_makes_counts_unknown(
        self, flushing, bucket, fault
    ) -> None:
        """The bucket may have been sent, so it is not sent again."""
        it = flushing(fault, counts=[bucket(a=2)])
        with contextlib.suppress(KeyboardInterrupt):
            assert not it.flusher.flush(1.0)

        assert 2 == it.flusher.counts.unknown
        assert not it.flusher.counts.waiting
        assert it.flusher.finish(1.0)
