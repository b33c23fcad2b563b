"""The last flush: whatever is left is sent, waited for, or booked."""

from __future__ import annotations

import threading

import pytest

from serverless_flags._protocols import Outcome, Sent

TAKEN = Sent(Outcome.TAKEN, 202)
DOWN = Sent(Outcome.NOT_DELIVERED, 503, "the server answered 503", 60.0)
LOST = Sent(Outcome.UNKNOWN, None, "timed out")


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

    @pytest.mark.parametrize(("grace", "flushed"), [(0.05, False), (20.0, True)])
    def test_a_flush_that_begins_meanwhile_is_waited_for_too(
        self, flushing, bucket, grace, flushed
    ) -> None:
        """What was counted last may be under way when ours comes back."""
        arrived, free = threading.Event(), threading.Event()

        def other():
            arrived.set()
            assert free.wait(20)
            return TAKEN

        def ours():
            thread.start()
            assert arrived.wait(20)
            if flushed:
                threading.Timer(0.05, free.set).start()
            return TAKEN

        it = flushing(ours, other, counts=[bucket(a=1), bucket(b=2)])
        thread = threading.Thread(target=it.flusher.flush, args=(20.0,))
        finished = it.flusher.finish(grace)
        free.set()
        thread.join(20)

        assert flushed is finished
        assert [{"a": 1}, {"b": 2}] == it.sent()

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


class TestGivingUp:
    """A session is closed: what is not taken by now is booked as lost."""

    def test_what_waits_will_never_be_counted(self, flushing, bucket) -> None:
        """Refused counts, and what was counted since."""
        it = flushing(DOWN, counts=[bucket(a=1), bucket(a=2)])
        it.flusher.flush(1.0)
        it.flusher.give_up()
        it.flusher.give_up()
        counts = it.flusher.counts

        assert (3, 0, False) == (counts.uncounted, counts.unknown, counts.waiting)

    def test_what_is_under_way_is_unknown(self, flushing, bucket) -> None:
        """Once, however often it is given up; until its answer comes after all."""
        it = flushing(TAKEN, counts=[bucket(a=2)])
        (delivery,) = it.flusher.collect()
        it.flusher.give_up()
        it.flusher.give_up()
        assert 2 == it.flusher.counts.unknown
        it.flusher.send(delivery, 1.0)

        assert 0 == it.flusher.counts.unknown

    def test_what_is_only_being_collected_is_nothing_yet(
        self, flushing, client, bucket
    ) -> None:
        """Another thread has it; its answer books it, and nothing is negative."""
        it = flushing(TAKEN, LOST)

        def close_meanwhile():
            client.drain_counts = lambda: None
            it.flusher.give_up()
            return bucket(a=2)

        for unknown in (0, 2):
            client.drain_counts = close_meanwhile
            it.flusher.flush(1.0)

            assert unknown == it.flusher.counts.unknown

    def test_without_a_client_there_is_nothing(self, flushing) -> None:
        """A session that never had one never counted."""
        it = flushing(client=False)
        it.flusher.give_up()

        assert 0 == it.flusher.counts.uncounted

    def test_what_is_booked_already_is_not_booked_again(self, flushing, bucket) -> None:
        """Its answer has come; it is about to be forgotten."""
        it = flushing(counts=[bucket(a=2)])
        (delivery,) = it.flusher.collect()
        assert delivery.record_once()
        it.flusher.give_up()

        assert 0 == it.flusher.counts.unknown
