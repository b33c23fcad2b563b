"""How UnleashClient loads a state, and how its counts are drained."""

from __future__ import annotations

import json
import math

import pytest

from serverless_flags._background import Completion
from serverless_flags._clock import now
from serverless_flags._log import ProblemLog
from serverless_flags._settings import load_settings
from serverless_flags._work.freshness import Freshness
from serverless_flags._work.refresh import Refresher
from serverless_flags.clients._engine import PARTLY_LOADED
from serverless_flags.clients._unleash_api import Identity, UnleashApi
from serverless_flags.testing import FlagServer

FLAG = {"name": "a", "enabled": True}
NUMBER = {"name": "default", "parameters": {"rollout": 50}}
"""A strategy with a number where the server sends a text."""


class TestState:
    @pytest.fixture(name="handed_over")
    def _handed_over(self, new_client):
        """Return a client, and the list of states that its engine parsed."""
        client = new_client()
        parsed = []
        real = client._library.load_state

        def load_state(engine, body):
            parsed.append(json.loads(body))
            return real(engine, body)

        client._library.load_state = load_state
        return client, parsed

    def test_a_state_is_parsed_once(self, handed_over, state_of) -> None:
        """The first one too; a new one replaces the old one."""
        client, parsed = handed_over
        for names in (["a"], ["b", "c"]):
            client.load_state(state_of(*names))

            assert names == [feature["name"] for feature in parsed[-1]["features"]]
        assert 2 == len(parsed)
        assert not client.is_enabled("a")
        assert client.is_enabled("b")

    def test_an_unchanged_state_is_never_parsed_again(self, handed_over) -> None:
        """From the 304 of the embedded flag server to the engine."""
        client, parsed = handed_over
        with FlagServer({"simpleFlag": True}) as server:
            settings = load_settings({"url": server.url, "api_token": server.token}, {})
            api = UnleashApi(settings, server.url, Identity(settings, "checkout"))
            refresher = Refresher(
                api,
                Freshness(max_age=1, stale_while_revalidate=1, stale_if_error=math.inf),
                request_timeout=20,
                freezes=False,
                clock=now,
                problem_log=ProblemLog(),
                observe=lambda *_: None,
            )
            refresher.adopt(client)
            answers = []
            for enabled in (True, True, True, False, False, True):
                server.set("simpleFlag", enabled)
                refresher.run(refresher.begin(now(), lambda _: Completion())[0])
                answers.append(client.is_enabled("simpleFlag"))
            api.close()

        assert [True, True, True, False, False, True] == answers
        assert 3 == len(parsed)
        assert [200, 304, 304, 200, 304, 200] == [r.status for r in server.requests]

    @pytest.mark.parametrize(
        "state",
        [
            {"features": [{"name": "a", "enabled": True, "strategies": []}]},
            {"version": 2, "features": [{"name": 3}]},
            {"version": 2, "features": [{**FLAG, "strategies": [NUMBER]}]},
            {"version": 2, "features": [], "segments": 3},
            "no object",
        ],
    )
    def test_a_state_that_the_engine_rejects_is_an_error(
        self, new_client, state_of, state, caplog
    ) -> None:
        """With the engine's message; the previous flags stay."""
        client = new_client()
        client.load_state(state_of("old"))
        with pytest.raises(ValueError, match="Failed to parse JSON"):
            client.load_state(json.dumps(state))

        assert client.is_enabled("old")
        assert [] == caplog.messages
        client.load_state(state_of("new"))
        assert client.is_enabled("new")

    def test_a_flag_that_cannot_be_compiled_is_off(
        self, new_client, features, caplog
    ) -> None:
        """The state is loaded, and the engine's message is logged."""
        unknown = {"contextName": "x", "operator": "WAT", "values": []}
        strategy = {"name": "default", "constraints": [unknown]}
        broken = {"name": "broken", "enabled": True, "strategies": [strategy]}
        client = new_client()
        client.load_state(json.dumps({"version": 2, "features": [broken, *features]}))

        assert client.is_enabled("on")
        assert not client.is_enabled("broken")
        assert 1 == len(caplog.messages)
        assert caplog.messages[0].startswith(PARTLY_LOADED)
        assert "broken" in caplog.messages[0]

    def test_a_delta_is_a_state_too(self, new_client, state_of) -> None:
        """The specification feeds the engine with events."""
        features = json.loads(state_of("a"))["features"]
        hydration = {"type": "hydration", "eventId": 1, "segments": []}
        client = new_client()
        client.load_state(json.dumps({"events": [{**hydration, "features": features}]}))

        assert client.is_enabled("a")


class TestCounts:
    def test_counts_are_drained_once(self, new_client, state) -> None:
        """Draining resets them; without evaluations there are no counts."""
        client = new_client()
        client.load_state(state)
        assert client.drain_counts() is None
        for _ in range(3):
            client.is_enabled("on")
        client.is_enabled("off")
        client.get_variant("overridden", {"userId": "ada"})
        bucket = client.drain_counts()

        assert {"start", "stop", "toggles"} == set(bucket)
        assert bucket["start"] <= bucket["stop"]
        assert {
            "on": {"yes": 3, "no": 0, "variants": {}},
            "off": {"yes": 0, "no": 1, "variants": {}},
            "overridden": {"yes": 1, "no": 0, "variants": {"blue": 1}},
        } == bucket["toggles"]
        assert client.drain_counts() is None

    def test_a_new_state_keeps_the_counts(self, new_client, state) -> None:
        """A refresh between two flushes loses nothing."""
        client = new_client()
        client.load_state(state)
        client.is_enabled("on")
        client.load_state(state)
        client.is_enabled("on")

        assert 2 == client.drain_counts()["toggles"]["on"]["yes"]
