"""Pending counts: each evaluation is in one place, and none is sent twice."""

from __future__ import annotations

import copy
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serverless_flags._protocols import Outcome
from serverless_flags._work import counts as counts_module
from serverless_flags._work.counts import (
    PERMANENT_REJECTIONS,
    PendingCounts,
    evaluations,
)

counted = st.integers(0, 50)
toggles = st.dictionaries(
    st.sampled_from("abcdef"),
    st.fixed_dictionaries(
        {"yes": counted, "no": counted},
        optional={"variants": st.dictionaries(st.sampled_from("xyz"), counted)},
    ),
    max_size=5,
)


class Book(RuleBasedStateMachine):
    """Any sequence of evaluations, flushes and answers."""

    def __init__(self) -> None:
        super().__init__()
        self.bound = mock.patch.object(counts_module, "MOST_TOGGLES", 4)
        self.bound.start()
        self.counts = PendingCounts()
        self.evaluated = self.taken = 0
        self.under_way: list = []
        self.seen: set[int] = set()

    def teardown(self) -> None:
        self.bound.stop()

    @rule(found=st.none() | toggles)
    def collect(self, found) -> None:
        """A flush takes the counts of the client and the pending buckets."""
        fresh = None
        if found is not None:
            fresh = {"start": "1", "stop": "2", "toggles": copy.deepcopy(found)}
            self.evaluated += evaluations(fresh)
        bucket = self.counts.take(fresh)

        assert not self.counts.waiting
        if bucket is not None:
            assert len(bucket["toggles"]) <= 4
            self.under_way.append(bucket)

    @rule(found=toggles)
    def give_up(self, found) -> None:
        """The session ends: pending and later counts will never be sent."""
        fresh = {"start": "1", "stop": "2", "toggles": copy.deepcopy(found)}
        self.evaluated += evaluations(fresh)
        self.counts.give_up(fresh)

        assert not self.counts.waiting

    @precondition(lambda self: self.under_way)
    @rule(
        data=st.data(), outcome=st.sampled_from(["taken", "not delivered", "unknown"])
    )
    def answer(self, data, outcome) -> None:
        """A request in flight ends with any outcome, in any order."""
        position = data.draw(st.integers(0, len(self.under_way) - 1))
        status = data.draw(st.sampled_from([None, 400, 413, 422, 401, 429, 500, 503]))
        bucket = self.under_way.pop(position)
        if self.counts.settle(bucket, outcome, status) == "taken":
            self.taken += evaluations(bucket)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """Every evaluation is accepted, in flight, pending, unknown or uncounted."""
        waiting = sum(map(evaluations, self.counts._kept))
        under_way = sum(map(evaluations, self.under_way))

        assert self.evaluated == (
            self.taken
            + under_way
            + waiting
            + self.counts.unknown
            + self.counts.uncounted
        )


TestBook = Book.TestCase
TestBook.settings = settings(max_examples=60, stateful_step_count=30)


def test_without_counts_there_is_no_bucket() -> None:
    """Without counts, `take` returns None and nothing is pending."""
    counts = PendingCounts()

    assert counts.take(None) is None
    assert not counts.waiting


def test_giving_up_without_counts_loses_none() -> None:
    """A session that ends without counts has none uncounted."""
    counts = PendingCounts()
    counts.give_up(None)

    assert 0 == counts.uncounted


def test_pending_counts_are_merged_into_the_next_bucket(bucket) -> None:
    """Yes, no and variants are added per flag; the period covers both buckets."""
    counts = PendingCounts()
    first = bucket("3", "4", both=1, old=5)
    first["toggles"]["both"]["variants"] = {"red": 1}
    second = bucket("1", "6", both=2, new=7)
    second["toggles"]["both"] |= {"no": 3, "variants": {"red": 2, "blue": 4}}
    counts.settle(counts.take(first), Outcome.NOT_DELIVERED, 503)
    assert counts.waiting
    merged = counts.take(second)

    assert {
        "start": "1",
        "stop": "6",
        "toggles": {
            "both": {"yes": 3, "no": 3, "variants": {"red": 3, "blue": 4}},
            "old": {"yes": 5, "no": 0, "variants": {}},
            "new": {"yes": 7, "no": 0, "variants": {}},
        },
    } == merged
    assert not counts.waiting


def test_pending_counts_are_sent_without_new_ones(bucket) -> None:
    """Counts that were not accepted are sent even if nothing new was counted."""
    counts = PendingCounts()
    refused = bucket(a=1)
    counts.settle(refused, Outcome.NOT_DELIVERED, None)

    assert refused == counts.take(None)
    assert counts.take(None) is None


def test_a_bucket_in_flight_is_not_changed(bucket) -> None:
    """A request that hangs in another thread sends the bucket it was given."""
    counts = PendingCounts()
    for _ in range(2):
        counts.settle(bucket(a=1), Outcome.NOT_DELIVERED, None)
    under_way = counts.take(None)
    sent = copy.deepcopy(under_way)
    counts.settle(bucket(a=1), Outcome.NOT_DELIVERED, None)
    counts.take(bucket(a=1))

    assert sent == under_way


@pytest.mark.parametrize(
    ("outcome", "status", "recorded", "unknown", "uncounted", "waiting"),
    [
        (Outcome.TAKEN, 202, "taken", 0, 0, False),
        (Outcome.UNKNOWN, 504, "unknown", 3, 0, False),
        (Outcome.UNKNOWN, None, "unknown", 3, 0, False),
        (Outcome.NOT_DELIVERED, None, "kept", 0, 0, True),
        *[
            (Outcome.NOT_DELIVERED, status, "kept", 0, 0, True)
            for status in (401, 403, 404, 408, 429, 500, 503)
        ],
        *[
            (Outcome.NOT_DELIVERED, status, "refused", 0, 3, False)
            for status in sorted(PERMANENT_REJECTIONS)
        ],
    ],
)
def test_the_outcome_of_a_bucket(
    bucket, outcome, status, recorded, unknown, uncounted, waiting
) -> None:
    """Kept if surely not accepted; recorded as unknown if it may have been."""
    counts = PendingCounts()

    assert recorded == counts.settle(bucket(a=1, b=2), outcome, status)
    assert (unknown, uncounted, waiting) == (
        counts.unknown,
        counts.uncounted,
        counts.waiting,
    )


def test_the_number_of_flags_is_bounded(bucket, monkeypatch) -> None:
    """Beyond the bound the newest names are dropped and recorded as uncounted."""
    monkeypatch.setattr(counts_module, "MOST_TOGGLES", 2)
    counts = PendingCounts()
    counts.settle(bucket(a=1, b=2), Outcome.NOT_DELIVERED, None)
    merged = counts.take(bucket(b=10, c=4, d=5))

    assert {"a": 1, "b": 12} == {
        name: toggle["yes"] for name, toggle in merged["toggles"].items()
    }
    assert 9 == counts.uncounted
