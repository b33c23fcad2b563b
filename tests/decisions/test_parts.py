"""Counts are cut into parts for the server; none is lost or counted twice."""

from __future__ import annotations

import json
from collections import Counter
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless_flags._work import counts as counts_module
from serverless_flags._work.counts import (
    MOST_BYTES,
    PendingCounts,
    evaluations,
    parts_of,
)

numbers = st.integers(0, 10**6)
texts = st.text(max_size=12)
variants = st.dictionaries(texts, numbers, max_size=8)
toggles = st.dictionaries(
    texts,
    st.fixed_dictionaries(
        {"yes": numbers, "no": numbers}, optional={"variants": variants}
    ),
    max_size=8,
)
MOST = 120
"""Bytes of a part in these tests: more than any name with one variant."""


def _bucket(found):
    return {"start": "1", "stop": "2", "toggles": found}


def _totals(buckets) -> Counter:
    """Return the total of buckets, for each flag and each variant."""
    totals: Counter = Counter()
    for bucket in buckets:
        for name, toggle in bucket["toggles"].items():
            totals[name, "yes"] += toggle["yes"]
            totals[name, "no"] += toggle["no"]
            for variant, count in toggle.get("variants", {}).items():
                totals[name, "variant", variant] += count
    return +totals


@given(toggles)
def test_every_count_is_in_one_part(found) -> None:
    """Yes, no and each variant; each part has the period of the bucket."""
    bucket = _bucket(found)
    before = json.dumps(bucket)
    parts = parts_of(bucket, MOST)

    assert _totals([bucket]) == _totals(parts)
    assert evaluations(bucket) == sum(map(evaluations, parts))
    assert all(("1", "2") == (part["start"], part["stop"]) for part in parts)
    assert before == json.dumps(bucket)


@given(toggles)
def test_no_part_exceeds_the_limit(found) -> None:
    """Except for a flag whose name or variant alone exceeds it."""
    for part in parts_of(_bucket(found), MOST):
        size = len(json.dumps(part["toggles"]))
        alone = len(part["toggles"]) == 1 and all(
            len(toggle.get("variants", {})) <= 1 for toggle in part["toggles"].values()
        )

        assert size <= MOST or alone


@given(toggles)
def test_no_part_is_empty(found) -> None:
    """An empty part would cost a request."""
    parts = parts_of(_bucket(found), MOST)

    assert 1 == len(parts) or all(part["toggles"] for part in parts)


def test_a_small_bucket_is_one_part() -> None:
    """It is returned unchanged."""
    bucket = _bucket({"a": {"yes": 1, "no": 0}})

    assert [bucket] == parts_of(bucket)
    assert parts_of(bucket)[0] is bucket


def test_many_flags_fill_their_parts() -> None:
    """Three thousand names make three bodies, not thirty."""
    found = {
        f"checkout.flag-number-{number:04}": {"yes": 1, "no": 0, "variants": {}}
        for number in range(3000)
    }
    parts = parts_of(_bucket(found))
    sizes = [len(json.dumps(part["toggles"])) for part in parts]

    assert 3 == len(parts)
    assert max(sizes) <= MOST_BYTES
    assert 3000 == sum(len(part["toggles"]) for part in parts)


def test_many_variants_fill_their_parts() -> None:
    """A single flag may exceed the limit."""
    names = {f"variant-number-{number:05}": 1 for number in range(9000)}
    found = {"a": {"yes": 9000, "no": 7, "variants": names}, "b": {"yes": 1, "no": 0}}
    parts = parts_of(_bucket(found))
    sizes = [len(json.dumps(part["toggles"])) for part in parts]

    assert 3 <= len(parts) <= 4
    assert max(sizes) <= MOST_BYTES
    assert [9007, 0] == [evaluations(part) for part in parts][:2]
    assert _totals([_bucket(found)]) == _totals(parts)


@pytest.mark.parametrize("name", ["x" * 200_000, "ü" * 30_000])
def test_a_flag_with_a_long_name_is_a_part_of_its_own(name) -> None:
    """The server may reject that part; the other flags are not affected."""
    found = {
        flag: {"yes": 1, "no": 0, "variants": {"v": 1}} for flag in ("a", name, "b")
    }
    parts = parts_of(_bucket(found))
    sizes = [len(json.dumps(part["toggles"])) for part in parts]

    assert 2 <= len(parts) <= 3
    assert [name] == [
        flag
        for part, size in zip(parts, sizes, strict=True)
        if size > MOST_BYTES
        for flag in part["toggles"]
    ]


class TestBounds:
    """Pending counts are bounded in number and size, even in a long outage."""

    @pytest.fixture(name="counts")
    def _counts(self):
        return PendingCounts()

    def test_the_number_of_flags(self, counts) -> None:
        """Flags beyond the bound are lost and recorded as uncounted."""
        with mock.patch.object(counts_module, "MOST_TOGGLES", 3):
            taken = counts.take(_bucket({c: {"yes": 1, "no": 1} for c in "abcde"}))

        assert ["a", "b", "c"] == list(taken["toggles"])
        assert 4 == counts.uncounted

    def test_the_size_of_names(self, counts) -> None:
        """A program that makes up long names does not fill the memory either."""
        with mock.patch.object(counts_module, "MOST_CHARACTERS", 10):
            taken = counts.take(
                _bucket({c * 4: {"yes": 2, "no": 0} for c in "abcd"}),
            )

        assert ["aaaa", "bbbb"] == list(taken["toggles"])
        assert 4 == counts.uncounted

    def test_the_bounds_hold_after_each_merge(self, counts) -> None:
        """A bucket that grows during an outage stays within the bounds."""
        with mock.patch.object(counts_module, "MOST_TOGGLES", 3):
            for letters in ("ab", "cd", "ef"):
                found = {c: {"yes": 1, "no": 0} for c in letters}
                counts.keep(counts.take(_bucket(found)))
            taken = counts.take(None)

        assert 3 == len(taken["toggles"])
        assert 3 == counts.uncounted

    def test_after_the_end_a_kept_bucket_is_lost(self, counts) -> None:
        """After a late failure there is no next flush."""
        counts.give_up(None)
        counts.keep(_bucket({"a": {"yes": 2, "no": 1}}))

        assert (3, False) == (counts.uncounted, counts.waiting)
