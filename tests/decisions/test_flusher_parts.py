"""A bucket that is sent in parts, and the outcome of each part."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serverless_flags._clock import Instant
from serverless_flags._log import ProblemLog
from serverless_flags._protocols import Outcome, Sent
from serverless_flags._work import flush as flush_module
from serverless_flags._work.backoff import Backoff
from serverless_flags._work.counts import parts_of
from serverless_flags._work.flush import Flusher

TAKEN = Sent(Outcome.TAKEN, 202)
DOWN = Sent(Outcome.NOT_DELIVERED, 503, "the server answered 503")
NEVER = Sent(Outcome.NOT_DELIVERED, 413, "the server answered 413")
LOST = Sent(Outcome.UNKNOWN, None, "timed out")

SMALL = 100
"""Bytes of a part here: two flags."""


@pytest.fixture(name="in_parts")
def _in_parts(monkeypatch):
    """Cut buckets into parts of two flags."""
    monkeypatch.setattr(
        flush_module, "parts_of", lambda bucket: parts_of(bucket, SMALL)
    )


@pytest.mark.usefixtures("in_parts")
class TestParts:
    @pytest.fixture(name="six")
    def _six(self, bucket):
        return bucket(a=1, b=1, c=1, d=1, e=1, f=1)

    def test_each_part_is_sent_once(self, flushing, six) -> None:
        """Parts are sent one after the other, within one timeout for all."""
        it = flushing(TAKEN, TAKEN, TAKEN, counts=[six])

        assert it.flusher.flush(10.0)
        assert [{"a": 1, "b": 1}, {"c": 1, "d": 1}, {"e": 1, "f": 1}] == it.sent()
        assert ["taken"] * 3 == [outcome for outcome, _ in it.observed]
        assert all(timeout <= 10.0 for _, timeout in it.upstream.asked)
        assert not it.flusher._in_flight

    def test_a_failure_keeps_the_later_parts(self, flushing, six) -> None:
        """A failing server is not asked twice in one flush, and no part is lost."""
        it = flushing(TAKEN, DOWN, TAKEN, TAKEN, counts=[six])

        assert not it.flusher.flush(10.0)
        assert [{"a": 1, "b": 1}, {"c": 1, "d": 1}] == it.sent()
        assert it.flusher.flush(10.0)
        merged = Counter()
        for sent in it.sent()[2:]:
            merged.update(sent)
        assert {"c": 1, "d": 1, "e": 1, "f": 1} == merged
        assert 0 == it.flusher.counts.uncounted + it.flusher.counts.unknown

    def test_an_unknown_part_is_not_sent_again(self, flushing, six) -> None:
        """The other parts are sent with the next flush."""
        it = flushing(LOST, TAKEN, TAKEN, counts=[six])

        assert not it.flusher.flush(10.0)
        assert it.flusher.flush(10.0)
        assert [{"a": 1, "b": 1}] == it.sent()[:1]
        assert 2 == it.flusher.counts.unknown

    def test_a_rejected_part_is_lost_alone(self, flushing, six) -> None:
        """The later parts are sent with the next flush."""
        it = flushing(TAKEN, NEVER, TAKEN, counts=[six])
        it.flusher.flush(10.0)

        assert it.flusher.flush(10.0)
        assert [{"a": 1, "b": 1}, {"c": 1, "d": 1}, {"e": 1, "f": 1}] == it.sent()
        assert 2 == it.flusher.counts.uncounted

    def test_parts_after_the_timeout_are_kept(self, flushing, six, monkeypatch) -> None:
        """The timeout is for all parts together."""
        now = [0.0]
        monkeypatch.setattr(flush_module.time, "monotonic", lambda: now[0])

        def slow():
            now[0] += 1.0
            return TAKEN

        it = flushing(slow, slow, counts=[six])

        assert not it.flusher.flush(1.5)
        assert [1.5, 0.5] == [timeout for _, timeout in it.upstream.asked]
        assert it.flusher.counts.waiting

    def test_a_session_that_ends_meanwhile(self, flushing, six) -> None:
        """Unsent parts are lost, sent ones have their outcome; each counts once."""
        it = flushing(
            TAKEN, lambda: (it.flusher.give_up(), DOWN)[1], TAKEN, counts=[six]
        )
        it.flusher.flush(10.0)
        counts = it.flusher.counts

        assert (4, 0, False) == (counts.uncounted, counts.unknown, counts.waiting)

    def test_an_interruption_keeps_the_rest(self, flushing, six) -> None:
        """After an exception each evaluation is accepted, unknown or pending."""
        it = flushing(TAKEN, KeyboardInterrupt(), counts=[six])
        with pytest.raises(KeyboardInterrupt):
            it.flusher.flush(10.0)
        counts = it.flusher.counts
        it.flusher.give_up()

        assert 4 == counts.unknown + counts.uncounted


class Server:
    """A server with random answers; the session ends at some of them."""

    def __init__(self, answers, end) -> None:
        self.answers, self.end = answers, end
        self.taken = self.lost = 0

    def send(self, bucket, *, timeout, exiting=False):
        answer, ends = self.answers.pop(0) if self.answers else (TAKEN, False)
        if ends:
            self.end()
        number = sum(toggle["yes"] for toggle in bucket["toggles"].values())
        if answer is TAKEN:
            self.taken += number
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Do nothing."""


class Client:
    """A client with random counts; the session may end while they are drained."""

    def __init__(self, buckets, end) -> None:
        self.buckets, self.end = buckets, end
        self.counted = 0

    def drain_counts(self):
        if not self.buckets:
            return None
        names, ends = self.buckets.pop(0)
        toggles = {name: {"yes": 1, "no": 0, "variants": {}} for name in names}
        if ends:
            self.end()
        self.counted += len(names)
        return {"start": "1", "stop": "2", "toggles": toggles} if names else None


def _flusher_of(server, client) -> Flusher:
    flusher = Flusher(
        server,
        flush_timeout=1.0,
        request_timeout=1.0,
        clock=lambda: Instant(1000.0, 1000.0),
        problem_log=ProblemLog(),
        observe=lambda *_: None,
        backoff=Backoff(lambda: 1.0),
    )
    flusher.adopt(client)
    return flusher


answers = st.lists(
    st.tuples(st.sampled_from([TAKEN, DOWN, NEVER, LOST, OSError()]), st.booleans()),
    max_size=8,
)
found = st.lists(st.tuples(st.sets(st.sampled_from("abcdef")), st.booleans()))


@given(answers, found, st.integers(1, 4))
@settings(max_examples=300)
def test_each_evaluation_is_in_one_place(answers, found, flushes) -> None:
    """Whatever the answers, counts are accepted, lost or unknown, and never twice."""

    def end() -> None:
        if not ended:  # a session ends once
            ended.append(1)
            flusher[0].give_up()

    ended: list[int] = []
    flusher: list[Flusher] = []
    server, client = Server(answers, end), Client(found, end)
    flusher.append(_flusher_of(server, client))
    cut, flush_module.parts_of = (
        flush_module.parts_of,
        lambda bucket: parts_of(bucket, SMALL),
    )
    try:
        for _ in range(flushes):
            flusher[0].flush(10.0)
        end()
    finally:
        flush_module.parts_of = cut
    counts = flusher[0].counts

    assert client.counted == server.taken + counts.uncounted + counts.unknown
    assert counts.uncounted >= 0
    assert counts.unknown >= 0
    assert not counts.waiting
    assert not flusher[0]._in_flight
