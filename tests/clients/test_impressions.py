"""A listener gets impressions of evaluations, from both clients alike."""

from __future__ import annotations

import json

import pytest

from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend
from serverless_flags.clients.impression import Impression

USER = {"userId": "7"}


@pytest.fixture(name="new", params=["unleash", "lean"])
def _new(request, features):
    """Return a function that makes a client with a listener and all flags."""

    def new(listener):
        chosen = {"client": request.param, "on_impression": listener}
        client = open_backend(load_settings(chosen, {}), "checkout").load()
        client.load_state(json.dumps({"version": 2, "features": features}))
        return client

    return new


@pytest.fixture(name="received")
def _told():
    return []


def test_flags_with_impression_data_are_reported(new, received) -> None:
    """With the context, the result and a unique id."""
    client = new(received.append)
    answers = [client.is_enabled(name, USER) for name in ("on", "impressions")]
    variant = client.get_variant("impressions", USER)
    first, second = received

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


def test_impressions_continue_after_a_new_state(new, received, features) -> None:
    """Whichever engine evaluates."""
    client = new(received.append)
    client.load_state(json.dumps({"version": 2, "features": features}))
    client.is_enabled("impressions")

    assert ["impressions"] == [impression.feature_name for impression in received]


def test_an_unknown_flag_has_no_impression(new, received) -> None:
    """Its fallback is called as usual."""
    client = new(received.append)

    assert client.is_enabled("no such flag", USER, lambda *_: True)
    assert [] == received


def test_a_listener_that_fails_changes_nothing(new, caplog) -> None:
    """The result and the counts stay; the failure is logged once."""
    client = new(lambda _: 1 / 0)

    assert client.is_enabled("impressions")
    assert client.is_enabled("impressions")
    assert 2 == client.drain_counts()["toggles"]["impressions"]["yes"]
    assert ["an impression could not be delivered"] == caplog.messages[-1:]
    assert 1 == sum("impression" in message for message in caplog.messages)


class Counted:
    """A value that counts its conversions to a string, and may then run code."""

    def __init__(self, act=lambda: None) -> None:
        self.made, self._act = 0, act

    def __str__(self) -> str:
        self.made += 1
        self._act()
        return "pro"


@pytest.mark.parametrize("ask", ["is_enabled", "get_variant"])
def test_a_value_is_converted_once(new, received, ask) -> None:
    """The listener gets the same string as the engine."""
    client, quiet, loud = new(received.append), Counted(), Counted()
    getattr(client, ask)("on", {"plan": quiet, "properties": {"size": 3}})
    getattr(client, ask)("impressions", {"plan": loud, "properties": {"size": 3}})

    assert quiet.made == loud.made
    assert {"plan": "pro", "size": "3"} == received[0].context["properties"]


@pytest.mark.parametrize("ask", ["is_enabled", "get_variant"])
@pytest.mark.parametrize("first", [True, False])
def test_the_evaluated_state_decides_about_the_impression(
    new, received, ask, first
) -> None:
    """Even if a new state replaces it during the evaluation."""
    states = [
        json.dumps(
            {
                "version": 2,
                "features": [{"name": "flag", "enabled": asks, "impressionData": asks}],
            }
        )
        for asks in (first, not first)
    ]
    client = new(received.append)
    client.load_state(states[0])
    swap = Counted(lambda: [client.load_state(states[1]) for _ in range(2)])
    answer = getattr(client, ask)("flag", {"plan": swap})

    on = answer if ask == "is_enabled" else answer["feature_enabled"]
    assert on is (len(received) == 1)


def test_a_listener_may_evaluate_and_refresh(new, state_of) -> None:
    """It runs on the evaluating thread, while the state is referenced."""
    results = []

    def listen(impression):
        client.load_state(state_of("on"))
        client.load_state(state_of("on"))
        results.append((impression.feature_name, client.is_enabled("on")))

    client = new(listen)

    assert client.is_enabled("impressions")
    assert [("impressions", True)] == results
    assert 1 == client.drain_counts()["toggles"]["impressions"]["yes"]


def test_a_failed_evaluation_has_no_impression(new, received) -> None:
    """As with UnleashClient, because there is no result."""
    client = new(received.append)
    client.is_enabled("impressions", {"userId": "\ud800"})

    assert [] == received


def test_an_engine_error_drops_the_impression(new, received, caplog) -> None:
    """The result stays, and the error is logged once."""
    client = new(received.append)
    library = client._library
    library.should_emit = lambda state, name: library.check_enabled(
        state, name, b"{", b"{}"
    )

    assert client.is_enabled("impressions")
    assert [] == received
    assert "an impression could not be delivered" == caplog.messages[-1]
