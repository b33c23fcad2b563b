"""A listener is told of evaluations, by both clients alike."""

from __future__ import annotations

import json

import pytest

from serverless_flags._config import load_settings
from serverless_flags.clients import open_backend
from serverless_flags.clients.impression import Impression

USER = {"userId": "7"}


@pytest.fixture(name="new", params=["unleash", "lean"])
def _new(request, features):
    """Return what makes a client with a listener and all flags."""

    def new(listener):
        chosen = {"client": request.param, "on_impression": listener}
        client = open_backend(load_settings(chosen, {}), "checkout").load()
        client.take_state(json.dumps({"version": 2, "features": features}))
        return client

    return new


@pytest.fixture(name="told")
def _told():
    return []


def test_they_are_told_of_flags_that_ask_for_it(new, told) -> None:
    """With the context, the answer and an id of their own."""
    client = new(told.append)
    answers = [client.is_enabled(name, USER) for name in ("on", "impressions")]
    variant = client.get_variant("impressions", USER)
    first, second = told

    assert ([True, True], "disabled") == (answers, variant["name"])
    assert isinstance(first, Impression)
    assert ("feature_flag", "impressions", True, "") == (
        first.event_type,
        first.feature_name,
        first.enabled,
        first.variant,
    )
    assert ("variant", "impressions", False, "disabled") == (
        second.event_type,
        second.feature_name,
        second.enabled,
        second.variant,
    )
    assert ("7", "checkout", "default") == tuple(
        first.context[name] for name in ("userId", "appName", "environment")
    )
    assert 36 == len(first.event_id)
    assert first.event_id != second.event_id


def test_they_are_told_after_a_new_state_too(new, told, features) -> None:
    """Whichever engine evaluates."""
    client = new(told.append)
    client.take_state(json.dumps({"version": 2, "features": features}))
    client.is_enabled("impressions")

    assert ["impressions"] == [impression.feature_name for impression in told]


def test_a_fallback_is_asked_as_ever(new, told) -> None:
    """An unknown flag asks for no impression."""
    client = new(told.append)

    assert client.is_enabled("no such flag", USER, lambda *_: True)
    assert [] == told


def test_a_listener_that_fails_changes_nothing(new, caplog) -> None:
    """The answer and the counts stay; the log says it once."""
    client = new(lambda _: 1 / 0)

    assert client.is_enabled("impressions")
    assert client.is_enabled("impressions")
    assert 2 == client.take_counts()["toggles"]["impressions"]["yes"]
    assert ["an impression could not be told"] == caplog.messages[-1:]
    assert 1 == sum("impression" in message for message in caplog.messages)
