"""How many flags a client has, for the status: counted where the engine has parsed."""

from __future__ import annotations

import json

import pytest

from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend

FLAG = {
    "name": "simpleFlag",
    "enabled": True,
    "strategies": [{"name": "default", "parameters": {"name": "x"}}],
    "variants": [{"name": "blue", "weight": 1000}],
}
QUOTED = {**FLAG, "name": 'a "name": b', "description": '{"name":"c"}'}


@pytest.fixture(name="client", params=["lean", "unleash"])
def _client(request):
    return open_backend(load_settings({"client": request.param}, {}), "app").load()


@pytest.mark.parametrize("features", [[], [FLAG], [FLAG, QUOTED]])
def test_the_flags_of_a_state_are_counted(client, features) -> None:
    """Variants, parameters and quoted names are not taken for flags."""
    client.load_state(json.dumps({"version": 2, "features": features}))

    assert len(features) == client.flag_count


def test_flags_of_an_event_stream_are_counted(client) -> None:
    """A hydration event is a state too."""
    hydration = {"type": "hydration", "eventId": 1, "segments": [], "features": [FLAG]}
    client.load_state(json.dumps({"events": [hydration]}))

    assert 1 == client.flag_count


def test_before_the_first_state_there_are_none(client) -> None:
    """The status of a session without flags says so."""
    assert 0 == client.flag_count


def test_a_refused_state_changes_nothing(client) -> None:
    """The flags that are served are those that are counted."""
    client.load_state(json.dumps({"version": 2, "features": [FLAG]}))
    with pytest.raises(ValueError, match="Failed to parse JSON"):
        client.load_state('{"version": 2}')

    assert 1 == client.flag_count
