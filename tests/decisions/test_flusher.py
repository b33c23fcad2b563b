"""Flushes: in time, each bucket sent once, and at the end whatever is left."""

from __future__ import annotations

import logging
import threading

import pytest

from serverless_flags._client import Outcome, Sent
from serverless_flags._flush import Flusher
from serverless_flags._report import Reporter

TAKEN = Sent(Outcome.TAKEN, 202)
DOWN = Sent(Outcome.REFUSED, 503, "the server answered 503", 60.0)
NEVER = Sent(Outcome.REFUSED, 413, "the server answered 413")
LOST = Sent(Outcome.UNKNOWN, None, "timed out")


class Flushing:
    """A `Flusher` with all that it touches."""

    def __init__(self, upstream, client, clock) -> None:
        self.upstream, self.client, self.clock = upstream, client, clock
        self.observed: list[tuple[str, float]] = []
        self.flusher = Flusher(
            upstream,
            flush_timeout=0.3,
            request_timeout=2.0,
            clock=clock,
            reporter=Reporter(),
            observe=lambda *observed: self.observed.append(observed),
        )
        self.flusher.backoff._uniform = lambda: 1.0
        if client is not None:
            self.flusher.adopt(client)

    def sent(self) -> list[dict[str, int]]:
        """Return the yes-counts of each bucket that was sent."""
        return [
            {name: toggle["yes"] for name, toggle in bucket["toggles"].items()}
            for bucket, _ in self.upstream.asked
        ]


@pytest.fixture(name="flushing")
def _flushing(server, client, clock):
    def make(*answers, counts=()):
        client.counts.extend(counts)
        return Flushing(server(*answers), client, clock)

    return make


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
        """Counts wait here; they are merged, not lost."""
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
        assert it.flusher.collect() is not None
        clock.advance(age)

        assert due is it.flusher.due_at_end()

    def test_without_client_or_server_nothing_is_due(
        self, server, client, clock
    ) -> None:
        """There is nothing to count, or nobody to tell."""
        for upstream, who in ((None, client), (server(), None)):
            it = Flushing(upstream, who, clock)
            it.flusher.interval = 1.0

            assert not it.flusher.due(clock.advance(100))
            assert it.flusher.collect() is None
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
            "counts were not taken (kept): the server answered 503",
            "counts are taken again",
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
        client.take_counts = fail
        with pytest.raises(KeyError):
            it.flusher.flush(1.0)
        client.take_counts = lambda: None

        assert it.flusher.finish(0.0)

    def test_a_fault_while_sending_books_the_counts(self, flushing, bucket) -> None:
        """Nobody knows whether they were taken, so they are not sent again."""
        it = flushing(KeyboardInterrupt(), counts=[bucket(a=2)])
        with pytest.raises(KeyboardInterrupt):
            it.flusher.flush(1.0)

        assert 2 == it.flusher.counts.unknown
        assert not it.flusher.counts.waiting
        assert it.flusher.finish(1.0)


class TestTheEnd:
    def test_all_there_is_is_sent(self, flushing, bucket) -> None:
        """What waits and what was counted since, in one bucket."""
        it = flushing(DOWN, TAKEN, counts=[bucket(a=1), bucket(a=2)])
        it.flusher.flush(1.0)

        assert it.flusher.finish(1.0)
        assert [{"a": 1}, {"a": 3}] == it.sent()

    def test_what_the_server_refuses_is_left(self, flushing, bucket) -> None:
        """The end does not ask a failing server twice, and says the truth."""
        it = flushing(DOWN, counts=[bucket(a=1)])

        assert not it.flusher.finish(1.0)
        assert [{"a": 1}] == it.sent()

    @pytest.fixture(name="under_way")
    def _under_way(self, flushing, bucket):
        """Return a flusher with a flush under way, and what lets its answer come."""
        arrived, free = threading.Event(), threading.Event()

        def start(answer, *later, counts=()):
            def slow():
                arrived.set()
                assert free.wait(20)
                return answer

            it = flushing(slow, *later, counts=[bucket(a=1), *counts])
            thread = threading.Thread(target=it.flusher.flush, args=(20.0,))
            thread.start()
            threads.append(thread)
            assert arrived.wait(20)
            return it, free

        threads: list[threading.Thread] = []
        yield start
        free.set()
        for thread in threads:
            thread.join(20)

    def test_a_flush_under_way_is_waited_for(self, under_way) -> None:
        """The process must not end under it."""
        it, free = under_way(TAKEN)
        finished = []
        thread = threading.Thread(
            target=lambda: finished.append(it.flusher.finish(20.0))
        )
        thread.start()
        free.set()
        thread.join(20)

        assert [True] == finished
        assert [{"a": 1}] == it.sent()

    def test_what_a_flush_under_way_could_not_send_goes_with_ours(
        self, under_way, bucket
    ) -> None:
        """Refused while we waited, it is sent within the same end."""
        ours = threading.Event()

        def second():
            ours.set()
            return TAKEN

        it, free = under_way(DOWN, second, TAKEN, counts=[bucket(b=2)])
        finished = []
        thread = threading.Thread(
            target=lambda: finished.append(it.flusher.finish(20.0))
        )
        thread.start()
        assert ours.wait(20)
        free.set()
        thread.join(20)

        assert [True] == finished
        assert [{"a": 1}, {"b": 2}, {"a": 1}] == it.sent()

    def test_a_flush_that_hangs_does_not_prolong_the_end(self, under_way) -> None:
        """The grace is a bound; what has no answer by then is not called sent."""
        it, _ = under_way(DOWN)

        assert not it.flusher.finish(0.05)
        assert [{"a": 1}] == it.sent()

    def test_after_the_grace_nothing_is_sent(self, under_way, monkeypatch) -> None:
        """What is refused as the grace ends stays where it is."""
        it, free = under_way(DOWN)
        wait = threading.Event.wait

        def wait_to_the_end(event, _timeout=None):
            free.set()
            return wait(event, 20)

        monkeypatch.setattr(threading.Event, "wait", wait_to_the_end)

        assert not it.flusher.finish(0.0)
        assert [{"a": 1}] == it.sent()
