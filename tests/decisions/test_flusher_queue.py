"""Background flushes: one runs, one is queued, and other callers join that one."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serverless_flags._log import ProblemLog
from serverless_flags._protocols import Outcome, Sent
from serverless_flags._work.flush import Flusher

TAKEN = Sent(Outcome.TAKEN, 202)
DOWN = Sent(Outcome.NOT_DELIVERED, 503, "the server answered 503")
WAIT = 20.0
"""Seconds; a bound against hanging only."""


class Counting:
    """A client that records the thread on which its counts are drained."""

    def __init__(self) -> None:
        self.number = 0
        self.drained_by: list[int] = []

    def is_enabled(self, *_args: object) -> bool:
        self.number += 1
        return True

    def get_variant(self, *_args: object) -> dict:
        return {}

    def load_state(self, body: str) -> None:
        """Do nothing."""

    def drain_counts(self):
        self.drained_by.append(threading.get_ident())
        number, self.number = self.number, 0
        toggle = {"yes": number, "no": 0, "variants": {}}
        return {"start": "1", "stop": "2", "toggles": {"a": toggle}} if number else None


class Slow:
    """A server that answers when the test says so, and records calling threads."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.free = threading.Semaphore(0)
        self.sent: list[int] = []
        self.sent_by: list[int] = []
        self.at_once = self.most = 0
        self.answer = TAKEN
        self._lock = threading.Lock()

    def send(self, bucket, *, timeout, exiting=False):
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.sent.append(bucket["toggles"]["a"]["yes"])
        self.sent_by.append(threading.get_ident())
        self.arrived.release()
        self.free.acquire(timeout=WAIT)
        with self._lock:
            self.at_once -= 1
        return self.answer

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture(name="client")
def _client():
    return Counting()


@pytest.fixture(name="slow")
def _slow():
    slow = Slow()
    yield slow
    for _ in range(1000):
        slow.free.release()


@pytest.fixture(name="flusher")
def _flusher(slow, client, clock):
    flusher = Flusher(
        slow,
        flush_timeout=0.3,
        request_timeout=WAIT,
        clock=clock,
        problem_log=ProblemLog(),
        observe=lambda *_: None,
    )
    flusher.adopt(client)
    return flusher


class TestTurns:
    def test_one_runs_and_one_is_queued(self, flusher, client, slow) -> None:
        """Counts from the time of the first flush are sent by the second one."""
        client.number = 1
        first = flusher.begin()
        slow.arrived.acquire(timeout=WAIT)
        flushes = set()
        for _ in range(150):
            client.number += 1
            flushes.add(flusher.begin())
        (second,) = flushes
        for _ in range(2):
            slow.free.release()

        assert first is not second
        assert first.wait(WAIT)
        assert second.wait(WAIT)
        assert [1, 150] == slow.sent
        assert 1 == slow.most

    def test_many_threads_share_two_requests(self, flusher, client, slow) -> None:
        """However many threads flush at once, two requests are made."""
        gate, waited = threading.Barrier(21), []

        def end() -> None:
            gate.wait(WAIT)
            waited.append(flusher.begin().wait(WAIT))

        client.number = 20
        threads = [threading.Thread(target=end) for _ in range(20)]
        for thread in threads:
            thread.start()
        gate.wait(WAIT)
        for _ in range(20):
            slow.free.release()
        for thread in threads:
            thread.join(WAIT)

        assert [True] * 20 == waited
        assert 20 == sum(slow.sent)
        assert 1 == slow.most

    def test_many_tasks_share_two_requests(self, flusher, client, slow) -> None:
        """Tasks on one event loop share two requests and do not block the loop."""

        async def end() -> bool:
            client.number += 1
            flush = flusher.begin()
            flushes.add(flush)
            return await flush.wait_async(WAIT)

        async def main() -> list[bool]:
            tasks = [asyncio.create_task(end()) for _ in range(150)]
            await asyncio.sleep(0)
            for _ in range(10):
                slow.free.release()
            return await asyncio.gather(*tasks)

        flushes = set()

        assert [True] * 150 == asyncio.run(main())
        assert 150 == sum(slow.sent)
        assert len(flushes) <= 2

    def test_after_a_flush_has_drained_another_one_starts(
        self, flusher, client, slow
    ) -> None:
        """A flush that has drained does not send later counts."""
        for _ in range(3):
            client.number = 1
            slow.free.release()
            assert flusher.begin().wait(WAIT)

        assert [1, 1, 1] == slow.sent

    def test_a_flush_that_hangs_is_not_waited_for_forever(
        self, slow, client, clock
    ) -> None:
        """The next flush starts after the request timeout of the hanging one."""
        flusher = Flusher(
            slow,
            flush_timeout=0.01,
            request_timeout=0.01,
            clock=clock,
            problem_log=ProblemLog(),
            observe=lambda *_: None,
        )
        flusher.adopt(client)
        client.number = 1
        flusher.begin()
        slow.arrived.acquire(timeout=WAIT)
        client.number = 2
        second = flusher.begin()
        arrived = slow.arrived.acquire(timeout=WAIT)
        for _ in range(2):
            slow.free.release()

        assert arrived
        assert second.wait(WAIT)
        assert [1, 2] == slow.sent

    def test_without_a_client_or_server_there_is_none(self, slow, clock) -> None:
        """Nothing can be sent, so no flush is started."""
        flusher = Flusher(
            slow,
            flush_timeout=1.0,
            request_timeout=1.0,
            clock=clock,
            problem_log=ProblemLog(),
            observe=lambda *_: None,
        )

        assert flusher.begin() is None

    def test_an_error_lets_the_next_flush_start(self, flusher, client, slow) -> None:
        """After an error while draining, the next flush sends the counts."""
        take, client.drain_counts = client.drain_counts, lambda: 1 / 0
        client.number = 1
        assert flusher.begin().wait(WAIT)
        client.drain_counts = take
        slow.free.release()

        assert flusher.begin().wait(WAIT)
        assert [1] == slow.sent
        assert not flusher._in_flight


class TestDrained:
    """Counts are drained only on the thread that sends them."""

    def test_in_the_background(self, flusher, client, slow) -> None:
        """Counts are never drained on the thread that runs the user's function."""
        client.number = 1
        flush = flusher.begin()
        slow.arrived.acquire(timeout=WAIT)
        slow.free.release()
        flush.wait(WAIT)

        assert client.drained_by == slow.sent_by
        assert threading.get_ident() not in client.drained_by

    def test_not_before_its_turn(self, flusher, client, slow) -> None:
        """Until a queued flush starts, its counts stay in the client."""
        client.number = 1
        flusher.begin()
        slow.arrived.acquire(timeout=WAIT)
        client.number = 1
        second = flusher.begin()
        before = len(client.drained_by), second.drained
        for _ in range(2):
            slow.free.release()
        second.wait(WAIT)

        assert (1, False) == before
        assert second.drained
        assert client.drained_by == slow.sent_by

    def test_by_finish_on_the_calling_thread(self, flusher, client, slow) -> None:
        """`finish` drains and sends on the thread that calls it."""
        client.number = 1
        slow.free.release()
        flusher.finish(WAIT)

        assert [threading.get_ident()] == client.drained_by == slow.sent_by
