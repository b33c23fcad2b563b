"""A listener is told of evaluations, by both clients alike."""

from __future__ import annotations

import json

import pytest

from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend
from serverless_flags.clients.impression import Impression

USER = {"userId": "7"}


@pytest.fixture(name="new", params=["unleash", "lean"])
def _new(request, features):
    """Return what makes a client with a listener and all flags."""

    def new(listener):
        chosen = {"client": request.param, "on_impression": listener}
        client = open_backend(load_settings(chosen, {}), "checkout").load()
        client.load_state(json.dumps({"version": 2, "features": features}))
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
    client.load_state(json.dumps({"version": 2, "features": features}))
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
    assert 2 == client.drain_counts()["toggles"]["impressions"]["yes"]
    assert ["an impression could not be delivered"] == caplog.messages[-1:]
    assert 1 == sum("impression" in message for message in caplog.messages)


class Counted:
    """A value that counts how often its text is made, and may do something then."""

    def __init__(self, act=lambda: None) -> None:
        self.made, self._act = 0, act

    def __str__(self) -> str:
        self.made += 1
        self._act()
        return "pro"


@pytest.mark.parametrize("ask", ["is_enabled", "get_variant"])
def test_the_text_of_a_value_is_not_made_again_for_the_listener(new, told, ask) -> None:
    """It is told what the engine was told."""
    client, quiet, loud = new(told.append), Counted(), Counted()
    getattr(client, ask)("on", {"plan": quiet, "properties": {"size": 3}})
    getattr(client, ask)("impressions", {"plan": loud, "properties": {"size": 3}})

    assert quiet.made == loud.made
    assert {"plan": "pro", "size": "3"} == told[0].context["properties"]


@pytest.mark.parametrize("ask", ["is_enabled", "get_variant"])
@pytest.mark.parametrize("first", [True, False])
def test_the_state_that_answers_says_whether_it_is_told(new, told, ask, first) -> None:
    """Though a new state takes its place while the flag is evaluated."""
    states = [
        json.dumps(
            {
                "version": 2,
                "features": [{"name": "flag", "enabled": asks, "impressionData": asks}],
            }
        )
        for asks in (first, not first)
    ]
    client = new(told.append)
    client.load_state(states[0])
    swap = Counted(lambda: [client.load_state(states[1]) for _ in range(2)])
    answer = getattr(client, ask)("flag", {"plan": swap})

    on = answer if ask == "is_enabled" else answer["feature_enabled"]
    assert on is (len(told) == 1)


def test_a_listener_may_ask_and_refresh(new, state_of) -> None:
    """It runs on the thread that evaluates, with the state held."""
    heard = []

    def listen(impression):
        client.load_state(state_of("on"))
        client.load_state(state_of("on"))
        heard.append((impression.feature_name, client.is_enabled("on")))

    client = new(listen)

    assert client.is_enabled("impressions")
    assert [("impressions", True)] == heard
    assert 1 == client.drain_counts()["toggles"]["impressions"]["yes"]


def test_an_evaluation_that_failed_is_not_told(new, told) -> None:
    """As with UnleashClient: there is no answer to tell of."""
    client = new(told.append)
    client.is_enabled("impressions", {"userId": "\ud800"})

    assert [] == told


def test_an_engine_that_fails_costs_the_impression(new, told, caplog) -> None:
    """The answer stands, and the log says it once."""
    client = new(told.append)
    library = client._library
    library.should_emit = lambda state, name: library.check_enabled(
        state, name, b"{", b"{}"
    )

    assert client.is_enabled("impressions")
    assert [] == told
    assert "an impression could not be delivered" == caplog.messages[-1]
