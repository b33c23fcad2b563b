"""Contexts are written as JSON with the content of the enriched context."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless_flags._protocols import FIELDS
from serverless_flags.clients import _context
from serverless_flags.clients._context import ContextText, enriched

KNOWN = {"appName": 'check"out', "environment": "default"}
NOW = "2020-01-01T00:00:00.000000+00:00"

words = st.sampled_from([*sorted(FIELDS - {"properties"}), "plan", "m\u00fcll", 'a"b'])
values = (
    st.text()
    | st.integers()
    | st.booleans()
    | st.none()
    | st.sampled_from([dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)])
)
contexts = st.builds(
    lambda fields, properties: (
        fields if properties is None else {**fields, "properties": properties}
    ),
    st.dictionaries(words, values, max_size=5),
    st.none() | st.dictionaries(words | st.integers(0, 3), values, max_size=4),
)


@pytest.fixture(name="at_one_moment", autouse=True, scope="module")
def _at_one_moment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_context, "time_ns", lambda: 1_577_836_800_000_000_000)
        yield


@given(context=contexts | st.none())
def test_it_is_the_enriched_context(context) -> None:
    """Whatever the caller passes, and whichever way it is written."""
    written = json.loads(ContextText(KNOWN)(context)[0])

    assert json.loads(json.dumps(enriched(KNOWN, context))) == written


@pytest.mark.parametrize(
    "context", [{"userId": "7"}, {"plan": "pro"}, {"properties": {"plan": "pro"}}]
)
def test_common_contexts_are_written_directly(context, monkeypatch) -> None:
    """Otherwise an evaluation would take a third longer."""
    monkeypatch.setattr(_context, "enriched", None)

    text, seen = ContextText(KNOWN)(context)

    assert NOW == json.loads(text)["currentTime"]
    assert seen is None
