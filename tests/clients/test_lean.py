"""The lean client: UnleashClient's results without UnleashClient."""

from __future__ import annotations

import json
import logging

import pytest
import yggdrasil_engine

from serverless_flags._log import logger
from serverless_flags._protocols import DISABLED, keeps_state
from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend
from serverless_flags.clients.lean import LeanClient

USER = {"userId": "7"}


class Broken:
    """A custom strategy that fails."""

    def apply(self, parameters, context):
        raise RuntimeError(parameters, context)


class TestBackend:
    def test_its_requests_name_the_engine(self) -> None:
        """As those of the client `unleash`: the engine that counted."""
        given = {"client": "lean", "url": "http://127.0.0.1:9/api"}
        backend = open_backend(load_settings(given, {}), "checkout")
        client = backend.load()

        assert isinstance(client, LeanClient)
        assert keeps_state(client)
        assert yggdrasil_engine.__yggdrasil_core_version__ == (
            backend.upstream.engine_version
        )

    def test_settings_reach_the_client(self, state, strategies) -> None:
        """The application, the environment and the custom strategies."""
        given = {
            "client": "lean",
            "environment": "default",
            "strategies": strategies,
        }
        client = open_backend(load_settings(given, {}), "checkout").load()
        client.load_state(state)

        assert client.is_enabled("app")
        assert client.is_enabled("stage")
        assert client.is_enabled("custom", {"userId": "ada"})


class TestState:
    def test_a_state_replaces_the_previous_one(self, lean, state_of) -> None:
        """Flags that are gone are unknown."""
        lean.load_state(state_of("new"))

        assert lean.is_enabled("new")
        assert not lean.is_enabled("on")
        assert DISABLED == lean.get_variant("variants", USER)

    @pytest.mark.parametrize(
        "body", ["no JSON", "{}", '{"version": 2, "features": [{"name": "a"}]}']
    )
    def test_a_state_that_the_engine_rejects_is_an_error(self, lean, body) -> None:
        """With the engine's message; the previous flags stay."""
        with pytest.raises(ValueError, match="Failed to parse JSON"):
            lean.load_state(body)

        assert lean.is_enabled("on")

    def test_a_flag_that_cannot_be_compiled_is_off(self, lean, caplog) -> None:
        """All others are loaded, and the log names the flag."""
        odd = {"contextName": "x", "operator": "WAT", "values": []}
        strategy = {"name": "default", "constraints": [odd]}
        features = [
            {"name": "broken", "enabled": True, "strategies": [strategy]},
            {"name": "whole", "enabled": True, "strategies": []},
        ]
        lean.load_state(json.dumps({"version": 2, "features": features}))

        assert lean.is_enabled("whole")
        assert not lean.is_enabled("broken")
        assert 1 == len(caplog.messages)
        assert "broken" in caplog.messages[0]

    def test_a_delta_is_a_state_too(self, lean, state_of) -> None:
        """The specification feeds the engine with events."""
        features = json.loads(state_of("a"))["features"]
        event = {"type": "hydration", "eventId": 1, "segments": []}
        lean.load_state(json.dumps({"events": [{**event, "features": features}]}))

        assert lean.is_enabled("a")

    def test_before_the_first_state_no_flag_is_known(self) -> None:
        """Evaluations return defaults and are counted."""
        client = LeanClient(app_name="checkout")
        assert not client.is_enabled("on")
        assert client.is_enabled("on", None, lambda *_: True)
        assert DISABLED == client.get_variant("on")
        counted = {"yes": 1, "no": 2, "variants": {"disabled": 1}}

        assert counted == client.drain_counts()["toggles"]["on"]


class TestCounts:
    def test_counts_are_drained_once(self, lean) -> None:
        """Flags, unknown ones and variants; without evaluations there are no counts."""
        assert lean.drain_counts() is None
        lean.is_enabled("on")
        lean.is_enabled("off")
        lean.is_enabled("unknown")
        lean.get_variant("overridden", {"userId": "ada"})
        bucket = lean.drain_counts()

        assert {"start", "stop", "toggles"} == set(bucket)
        assert {
            "on": {"yes": 1, "no": 0, "variants": {}},
            "off": {"yes": 0, "no": 1, "variants": {}},
            "unknown": {"yes": 0, "no": 1, "variants": {}},
            "overridden": {"yes": 1, "no": 0, "variants": {"blue": 1}},
        } == bucket["toggles"]
        assert lean.drain_counts() is None

    def test_a_new_state_keeps_the_counts(self, lean, state) -> None:
        """A refresh between two flushes loses nothing."""
        lean.is_enabled("on")
        lean.load_state(state)
        lean.is_enabled("on")

        assert 2 == lean.drain_counts()["toggles"]["on"]["yes"]


class TestAnswers:
    def test_the_fallback_is_used_for_unknown_flags_only(self, lean) -> None:
        """It gets the name and the context as the engine receives it."""
        asked = []

        def fallback(name, context):
            asked.append((name, context))
            return "yes"

        assert not lean.is_enabled("off", USER, fallback)
        assert lean.is_enabled("unknown", {**USER, "size": 3}, fallback) is True
        name, context = asked.pop()
        del context["currentTime"]
        assert [] == asked
        assert "unknown" == name
        assert {
            "appName": "checkout",
            "environment": "default",
            "userId": "7",
            "size": "3",
            "properties": {"size": "3"},
        } == context

    def test_a_variant_has_only_existing_fields(self, lean) -> None:
        """The payload only if the variant has one."""
        blue = lean.get_variant("overridden", {"userId": "ada"})

        assert {"name": "blue", "enabled": True, "feature_enabled": True} == blue
        assert list(DISABLED) == list(lean.get_variant("unknown"))
        assert {**DISABLED, "feature_enabled": True} == lean.get_variant("on")

    def test_a_result_is_the_callers_own(self, lean) -> None:
        """Changes to one result do not affect the next."""
        lean.get_variant("unknown")["enabled"] = True

        assert DISABLED == lean.get_variant("unknown")

    def test_custom_strategies_are_called(self, new_lean, strategies) -> None:
        """With their parameters and the context; unknown strategies are off."""
        client = new_lean(strategies=strategies)

        assert client.is_enabled("custom", {"userId": "ada"})
        assert not client.is_enabled("custom", {"userId": "bob"})
        assert not client.is_enabled("unknown-strategy", {"userId": "ada"})

    @pytest.mark.parametrize(
        "ask",
        [
            lambda client: client.is_enabled("custom", USER),
            lambda client: client.is_enabled("unknown", None, lambda *_: 1 / 0),
            lambda client: client.is_enabled("on", {"userId": "\ud800"}),
            lambda client: client.is_enabled("on", {("no", "key of JSON's"): 1}),
            lambda client: client.get_variant("on", {"userId": "\ud800"})["enabled"],
            lambda client: client.get_variant("custom", USER)["enabled"],
        ],
    )
    def test_a_failed_evaluation_is_off_and_not_counted(
        self, new_lean, ask, caplog
    ) -> None:
        """The function continues; the first failure is logged as a warning."""
        client = new_lean(strategies={"mine": Broken()})
        assert [False, False] == [ask(client), ask(client)]

        assert client.drain_counts() is None
        assert 2 == client.uncounted
        assert [logging.WARNING] == [record.levelno for record in caplog.records]
        assert caplog.records[0].exc_info
        assert logger.name == caplog.records[0].name

    @pytest.mark.parametrize("name", [7, b"on", None, [], "\ud800"])
    def test_an_invalid_name_is_off_and_not_counted(self, lean, name, caplog) -> None:
        """A fallback is not called; the log says it once."""
        assert not lean.is_enabled(name, None, lambda *_: True)
        assert DISABLED == lean.get_variant(name)

        assert lean.drain_counts() is None
        assert 2 == lean.uncounted
        assert 1 == len(caplog.messages)
