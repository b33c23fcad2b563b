"""The last flush sends the rest, waits for other requests, or records the loss."""

from __future__ import annotations

import threading

import pytest

from serverless_flags._protocols import Outcome, Sent

TAKEN = Sent(Outcome.TAKEN, 202)
DOWN = Sent(Outcome.NOT_DELIVERED, 503, "the server answered 503", 60.0)
LOST = Sent(Outcome.UNKNOWN, None, "timed out")


class TestTheEnd:
    def test_everything_is_sent(self, flushing, bucket) -> None:
        """Pending counts and new ones are sent in one bucket."""
        it = flushing(DOWN, TAKEN, counts=[bucket(a=1), bucket(a=2)])
        it.flusher.flush(1.0)

        assert it.flusher.finish(1.0)
        assert [{"a": 1}, {"a": 3}] == it.sent()

    def test_counts_that_are_not_accepted_are_left(self, flushing, bucket) -> None:
        """The last flush does not retry at a failing server, and returns False."""
        it = flushing(DOWN, counts=[bucket(a=1)])

        assert not it.flusher.finish(1.0)
        assert [{"a": 1}] == it.sent()

    @pytest.fixture(name="under_way")
    def _under_way(self, flushing, bucket):
        """Return a flusher with a request in flight, and a function that answers it."""
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

    def test_a_request_in_flight_is_waited_for(self, under_way) -> None:
        """The process must not end before its answer."""
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

    def test_counts_not_accepted_meanwhile_are_sent_again(
        self, under_way, bucket
    ) -> None:
        """If another request fails during the wait, its counts are sent once more."""
        own = threading.Event()

        def second():
            own.set()
            return TAKEN

        it, free = under_way(DOWN, second, TAKEN, counts=[bucket(b=2)])
        finished = []
        thread = threading.Thread(
            target=lambda: finished.append(it.flusher.finish(20.0))
        )
        thread.start()
        assert own.wait(20)
        free.set()
        thread.join(20)

        assert [True] == finished
        assert [{"a": 1}, {"b": 2}, {"a": 1}] == it.sent()

    def test_a_request_that_hangs_does_not_prolong_the_end(self, under_way) -> None:
        """The timeout limits the wait, and without an answer `finish` returns False."""
        it, _ = under_way(DOWN)

        assert not it.flusher.finish(0.05)
        assert [{"a": 1}] == it.sent()

    @pytest.mark.parametrize(("grace", "flushed"), [(0.05, False), (20.0, True)])
    def test_a_flush_that_starts_meanwhile_is_waited_for(
        self, flushing, bucket, grace, flushed
    ) -> None:
        """A background flush may be in flight when the first request has ended."""
        arrived, free = threading.Event(), threading.Event()

        def other():
            arrived.set()
            assert free.wait(20)
            return TAKEN

        def own():
            thread.start()
            assert arrived.wait(20)
            if flushed:
                threading.Timer(0.05, free.set).start()
            return TAKEN

        it = flushing(own, other, counts=[bucket(a=1), bucket(b=2)])
        thread = threading.Thread(target=it.flusher.flush, args=(20.0,))
        finished = it.flusher.finish(grace)
        free.set()
        thread.join(20)

        assert flushed is finished
        assert [{"a": 1}, {"b": 2}] == it.sent()

    def test_after_the_timeout_nothing_is_sent(self, under_way, monkeypatch) -> None:
        """Counts that are not accepted at the end of the timeout stay pending."""
        it, free = under_way(DOWN)
        wait = threading.Event.wait

        def wait_to_the_end(event, _timeout=None):
            free.set()
            return wait(event, 20)

        monkeypatch.setattr(threading.Event, "wait", wait_to_the_end)

        assert not it.flusher.finish(0.0)
        assert [{"a": 1}] == it.sent()


class TestGivingUp:
    """A session is closed: counts that are not accepted by now are lost."""

    def test_pending_counts_become_uncounted(self, flushing, bucket) -> None:
        """Pending counts and those counted since the last flush are lost."""
        it = flushing(DOWN, counts=[bucket(a=1), bucket(a=2)])
        it.flusher.flush(1.0)
        it.flusher.give_up()
        it.flusher.give_up()
        counts = it.flusher.counts

        assert (3, 0, False) == (counts.uncounted, counts.unknown, counts.waiting)

    def test_counts_in_flight_become_unknown(self, flushing, bucket) -> None:
        """They are recorded once, and corrected if the answer arrives after all."""
        it = flushing(TAKEN, counts=[bucket(a=2)])
        (delivery,) = it.flusher.collect()
        it.flusher.give_up()
        it.flusher.give_up()
        assert 2 == it.flusher.counts.unknown
        it.flusher.send(delivery, 1.0)

        assert 0 == it.flusher.counts.unknown

    def test_counts_that_are_being_drained_are_not_recorded(
        self, flushing, client, bucket
    ) -> None:
        """Another thread drains them; its answer records them, never as negative."""
        it = flushing(TAKEN, LOST)

        def close_meanwhile():
            client.drain_counts = lambda: None
            it.flusher.give_up()
            return bucket(a=2)

        for unknown in (0, 2):
            client.drain_counts = close_meanwhile
            it.flusher.flush(1.0)

            assert unknown == it.flusher.counts.unknown

    def test_without_a_client_nothing_is_lost(self, flushing) -> None:
        """A session without a client has no counts."""
        it = flushing(client=False)
        it.flusher.give_up()

        assert 0 == it.flusher.counts.uncounted

    def test_recorded_counts_are_not_recorded_again(self, flushing, bucket) -> None:
        """Giving up after the answer, but before the cleanup, changes nothing."""
        it = flushing(counts=[bucket(a=2)])
        (delivery,) = it.flusher.collect()
        assert delivery.record_once()
        it.flusher.give_up()

        assert 0 == it.flusher.counts.unknown
