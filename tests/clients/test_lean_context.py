"""The lean client converts evaluation contexts as UnleashClient does."""

from __future__ import annotations

import enum
from datetime import datetime, timezone

import pytest

from serverless_flags.clients import _context


class Plan(str, enum.Enum):
    PRO = "pro"


class TestContext:
    @pytest.mark.parametrize(
        ("context", "flag"),
        [
            ({"plan": "pro"}, "in"),
            ({"properties": {"plan": "pro"}}, "in"),
            ({"size": 10}, "number"),
            ({"properties": {"size": 10.5}}, "number"),
            ({"userId": 7}, "users"),
            ({"userId": 7, "environment": "default"}, "segment"),
        ],
    )
    def test_values_become_strings_and_properties(self, lean, context, flag) -> None:
        """A field that Unleash does not define becomes a property."""
        assert lean.is_enabled(flag, context)

    @pytest.mark.parametrize(
        "context",
        [
            {"plan": Plan.PRO},
            {"appName": "other", "environment": "production"},
            {"currentTime": datetime(2020, 1, 1, tzinfo=timezone.utc), "userId": None},
            {"when": datetime(2020, 1, 1, tzinfo=timezone.utc), "properties": {"n": 1}},
            {3: 4, None: True, "properties": {5: 6.0}},
            {"properties": {"plan": "free", "userId": "8"}, "plan": "pro"},
            {},
            None,
        ],
    )
    def test_it_equals_unleashclients_context(self, lean, new_client, context) -> None:
        """Value by value and in order, except for the time."""
        seen = []
        given = None if context is None else dict(context)

        def fallback(_name, context):
            seen.append(context)
            return True

        for client in (new_client(), lean):
            assert client.is_enabled("no such flag", context, fallback)
        theirs, mine = seen
        if "currentTime" not in (context or {}):
            moments = [theirs.pop("currentTime"), mine.pop("currentTime")]
            assert sorted(moments, key=datetime.fromisoformat) == moments
        assert theirs == mine
        assert list(theirs["properties"]) == list(mine["properties"])
        assert given == context

    def test_the_time_is_written_as_by_datetime(self, monkeypatch) -> None:
        """At different seconds, and within each."""
        moments = [1_700_000_000_000_042_999, 1_700_000_000_999_999_999, 999_000]
        monkeypatch.setattr(_context, "time_ns", lambda: moments.pop(0))
        written = [_context.enriched({}, None)["currentTime"] for _ in range(3)]

        assert [
            "2023-11-14T22:13:20.000042+00:00",
            "2023-11-14T22:13:20.999999+00:00",
            "1970-01-01T00:00:00.000999+00:00",
        ] == written
