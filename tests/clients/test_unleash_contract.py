"""All that we rely on of UnleashClient and its engine beyond their documentation.

When a new version breaks one of these, the flag client has to follow; nothing else.
"""

from __future__ import annotations

import inspect
import json
import logging
import math
import socket
import threading

import pytest
import yggdrasil_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from UnleashClient import _headers, _payloads, constants
from UnleashClient.cache import BaseCache, FileCache
from UnleashClient.clients import UnleashClient
from UnleashClient.utils import InstanceAllowType

from serverless_flags._client import StateClient
from serverless_flags._config import load_settings
from serverless_flags._freshness import Freshness, now
from serverless_flags._refresh import Refresher
from serverless_flags._report import Reporter
from serverless_flags.clients import _unleash_api, memory, unleash
from serverless_flags.clients._unleash_api import Identity, UnleashApi
from serverless_flags.testing import FlagServer


class TestNames:
    """What we name, exists and means what we take it for."""

    def test_the_constants_are_ours(self) -> None:
        """The cache key, the specification, the variant of a flag that is off."""
        assert constants.FEATURES_URL == unleash.FEATURES
        assert constants.CLIENT_SPEC_VERSION == _unleash_api.CLIENT_SPEC
        assert constants.DISABLED_VARIATION == memory.DISABLED

    def test_the_constructor_takes_what_we_give(self) -> None:
        """Every keyword that turns something off, and the two names of ours."""
        taken = set(inspect.signature(UnleashClient).parameters)

        assert {
            "url",
            "app_name",
            "environment",
            "instance_id",
            "project_name",
            "disable_metrics",
            "disable_registration",
            "custom_strategies",
            "verbose_log_level",
            "cache",
            "scheduler",
            "scheduler_executor",
            "multiple_instance_mode",
            "sdk_flavor",
            "sdk_flavor_version",
        } <= taken
        assert "SILENTLY_ALLOW" in InstanceAllowType.__members__

    def test_the_cache_is_what_we_implement(self, new_client) -> None:
        """`BaseCache` asks for five methods, all of which ours has."""
        cache = new_client()._cache

        assert isinstance(cache, BaseCache)
        assert {"set", "mset", "get", "exists", "destroy"} == set(
            BaseCache.__abstractmethods__
        ) | {"destroy"}
        assert cache.bootstrapped is False
        cache.mset({"a": 1})
        cache.set("b", 2)
        assert (1, 2, None, 3) == (
            cache.get("a"),
            cache.get("b"),
            cache.get("c"),
            cache.get("c", 3),
        )
        assert cache.exists("a")
        cache.destroy()
        assert not cache.exists("a")

    def test_the_private_members(self, new_client, state) -> None:
        """Each with what we call it with."""
        client = new_client()
        client.take_state(state)
        engine = client._client._engine

        assert engine.get_metrics() is None
        assert callable(engine.custom_strategy_handler.update_strategies)
        assert callable(engine.materialize_pointer)
        assert callable(engine.lib.take_state)
        assert engine.state
        assert isinstance(yggdrasil_engine.__yggdrasil_core_version__, str)
        assert client.engine_version == yggdrasil_engine.__yggdrasil_core_version__

    def test_the_client_is_a_state_client(self, new_client) -> None:
        """The session brings its state and takes its counts."""
        assert isinstance(new_client(), StateClient)


class TestQuiet:
    """UnleashClient does nothing of its own accord."""

    def test_there_is_one_job_and_it_is_ours_to_run(self, new_client, state) -> None:
        """`OfflineConnector` adds the one that loads the cache; there is no other."""
        client = new_client()
        assert [] == client._scheduler.jobs
        for _ in range(3):
            client.take_state(state)

            assert 1 == len(client._scheduler.jobs)
        job = client._scheduler.jobs[0]
        assert "load_from_cache" == job._func.__name__
        assert {} == job._kwargs
        assert client._client.metric_job is None
        assert 1 == client._scheduler.state

    def test_no_thread_no_file_no_request(
        self, new_client, state, strategies, tmp_path, monkeypatch
    ) -> None:
        """From the constructor over evaluations to the end."""
        for variable in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
            monkeypatch.setenv(variable, str(tmp_path))
        monkeypatch.chdir(tmp_path)

        def connect(*_args):
            message = "a request was made"
            raise AssertionError(message)

        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr(socket, "getaddrinfo", connect)
        threads = threading.enumerate()
        client = new_client(url="http://127.0.0.1:9/api", strategies=strategies)
        client.take_state(state)
        assert client.is_enabled("on", {"userId": "7"})
        client.get_variant("variants", {"userId": "7"})
        client.take_counts()
        client.take_state(state)
        client._client.destroy()

        assert threads == threading.enumerate()
        assert [] == list(tmp_path.iterdir())

    def test_nothing_is_logged(self, new_client, state, strategies, caplog) -> None:
        """Neither a second client nor an unknown flag is worth a warning."""
        caplog.set_level(logging.INFO)
        for _ in range(2):
            client = new_client(strategies=strategies)
            client.is_enabled("on")
            client.take_state(state)
            client.is_enabled("no such flag")
            client.get_variant("no such flag")

        assert [] == caplog.messages

    def test_the_scheduler_is_asked_for_nothing_else(self, new_client, state) -> None:
        """What `destroy` calls exists, though nobody calls it."""
        client = new_client()
        client.take_state(state)
        job = client._scheduler.jobs[0]

        assert job.remove() is None


class TestState:
    @pytest.fixture(name="handed_over")
    def _handed_over(self, new_client):
        """Return a client, and the list of what its engine parsed."""
        client = new_client()
        parsed = []
        real = client._engine.lib.take_state

        def take_state(state, body):
            parsed.append(json.loads(body))
            return real(state, body)

        client._engine.lib.take_state = take_state
        return client, parsed

    def test_a_state_is_parsed_once(self, handed_over, state_of) -> None:
        """The first one too, and the new one replaces the old one."""
        client, parsed = handed_over
        for names in (["a"], ["b", "c"]):
            client.take_state(state_of(*names))

            assert names == [feature["name"] for feature in parsed[-1]["features"]]
        assert 2 == len(parsed)
        assert not client.is_enabled("a")
        assert client.is_enabled("b")

    def test_an_unchanged_state_is_never_parsed_again(self, handed_over) -> None:
        """From the server's 304 to the engine, over the real server's own words."""
        client, parsed = handed_over
        with FlagServer({"simpleFlag": True}) as server:
            ours = load_settings({"url": server.url, "api_token": server.token}, {})
            api = UnleashApi(ours, server.url, Identity(ours, "checkout"))
            refresher = Refresher(
                api,
                Freshness(max_age=1, stale_while_revalidate=1, stale_if_error=math.inf),
                request_timeout=20,
                clock=now,
                reporter=Reporter(),
                observe=lambda *_: None,
            )
            refresher.adopt(client)
            answers = []
            for enabled in (True, True, True, False, False, True):
                server.set("simpleFlag", enabled)
                refresher.run(refresher.claim(now())[0])
                answers.append(client.is_enabled("simpleFlag"))
            api.close()

        assert [True, True, True, False, False, True] == answers
        assert 3 == len(parsed)
        assert [200, 304, 304, 200, 304, 200] == [r.status for r in server.requests]

    @pytest.mark.parametrize(
        "body",
        [
            '{"features": [{"name": "a", "enabled": true, "strategies": []}]}',
            '{"version": 2, "features": [{"name": 3}]}',
            '{"version": 2, "features": [{"name": "a", "enabled": true,'
            + ' "strategies": [{"name": "default", "parameters": {"rollout": 50}}]}]}',
            '{"version": 2, "features": [], "segments": 3}',
            "no JSON",
        ],
    )
    def test_a_state_that_the_engine_refuses_is_an_error(
        self, new_client, state_of, body, caplog
    ) -> None:
        """The engine says so and UnleashClient drops it; the old flags stay."""
        client = new_client()
        client.take_state(state_of("old"))
        with pytest.raises(ValueError, match="Failed to parse JSON"):
            client.take_state(body)

        assert client.is_enabled("old")
        assert [] == caplog.messages
        client.take_state(state_of("new"))
        assert client.is_enabled("new")

    def test_a_flag_that_cannot_be_compiled_is_off(
        self, new_client, features, caplog
    ) -> None:
        """The state is taken all the same, and the engine's word goes to the log."""
        unknown = {"contextName": "x", "operator": "WAT", "values": []}
        strategy = {"name": "default", "constraints": [unknown]}
        broken = {"name": "broken", "enabled": True, "strategies": [strategy]}
        client = new_client()
        client.take_state(json.dumps({"version": 2, "features": [broken, *features]}))

        assert client.is_enabled("on")
        assert not client.is_enabled("broken")
        assert 1 == len(caplog.messages)
        assert caplog.messages[0].startswith(unleash.PARTLY)
        assert "broken" in caplog.messages[0]

    def test_a_delta_is_a_state_too(self, new_client, state_of) -> None:
        """The specification feeds the engine with events."""
        features = json.loads(state_of("a"))["features"]
        hydration = {"type": "hydration", "eventId": 1, "segments": []}
        client = new_client()
        client.take_state(json.dumps({"events": [{**hydration, "features": features}]}))

        assert client.is_enabled("a")

    def test_a_bad_strategy_is_an_error(self, new_client, state) -> None:
        """UnleashClient checks them when the first state is taken."""
        client = new_client(strategies={"mine": object()})
        for _ in range(2):
            with pytest.raises(ValueError, match="mine does not have an apply method"):
                client.take_state(state)

    def test_a_state_that_nobody_hands_over_is_an_error(
        self, new_client, state
    ) -> None:
        """Should UnleashClient stop asking the engine, it would not pass unnoticed."""
        client = new_client()
        client.take_state(state)
        client._scheduler.jobs[0]._func = lambda: None
        with pytest.raises(ValueError, match="the engine was not asked"):
            client.take_state(state)


class TestCounts:
    def test_counts_are_taken_once(self, new_client, state) -> None:
        """Taking them empties them; without evaluations there are none."""
        client = new_client()
        client.take_state(state)
        assert client.take_counts() is None
        for _ in range(3):
            client.is_enabled("on")
        client.is_enabled("off")
        client.get_variant("overridden", {"userId": "ada"})
        bucket = client.take_counts()

        assert {"start", "stop", "toggles"} == set(bucket)
        assert bucket["start"] <= bucket["stop"]
        assert {
            "on": {"yes": 3, "no": 0, "variants": {}},
            "off": {"yes": 0, "no": 1, "variants": {}},
            "overridden": {"yes": 1, "no": 0, "variants": {"blue": 1}},
        } == bucket["toggles"]
        assert client.take_counts() is None

    def test_a_new_state_keeps_the_counts(self, new_client, state) -> None:
        """A refresh in the middle of a minute loses nothing."""
        client = new_client()
        client.take_state(state)
        client.is_enabled("on")
        client.take_state(state)
        client.is_enabled("on")

        assert 2 == client.take_counts()["toggles"]["on"]["yes"]


class TestWire:
    """What UnleashClient would send, we send."""

    @pytest.fixture(name="config")
    def _config(self, new_client):
        """Return the configuration that UnleashClient builds its requests from."""
        return new_client(
            instance_id="i", max_age=15, flush_interval=60
        )._client._config

    def test_the_metrics(self, config) -> None:
        """Key by key and value by value, but for the connection's random id."""
        bucket = {"start": "1", "stop": "2", "toggles": {}}
        theirs = _payloads._build_metrics_payload(config, bucket)
        ours = load_settings({"instance_id": "i"}, {})
        engine = yggdrasil_engine.__yggdrasil_core_version__
        body = Identity(ours, "checkout").metrics_payload(bucket, engine)
        sent = json.loads(body)

        assert theirs.keys() == sent.keys()
        assert len(theirs.pop("connectionId")) == len(sent.pop("connectionId"))
        assert theirs == sent

    @pytest.mark.parametrize("kind", ["polling", "metrics"])
    def test_the_headers(self, config, kind, server) -> None:
        """Name by name; the values are ours where they name the SDK."""
        theirs = getattr(_headers._HeaderFactory(config), kind)()
        ours = load_settings({"instance_id": "i", "url": server.url}, {})
        api = UnleashApi(ours, server.url, Identity(ours, "checkout"))
        server.answer(202)
        if kind == "polling":
            api.fetch(None, timeout=20)
        else:
            api.send({"toggles": {}}, timeout=20)
        api.close()
        sent = server.asked[0].headers
        theirs = {name.lower(): value for name, value in theirs.items()}
        different = {"unleash-connection-id", "unleash-sdk"}

        assert theirs.keys() <= sent.keys()
        for name in theirs.keys() - different:
            assert theirs[name] == sent[name], name
        assert len(theirs["unleash-connection-id"]) == len(
            sent["unleash-connection-id"]
        )
        assert sent["unleash-sdk"].startswith("serverless-flags:")


def raw_client(state, strategies, directory) -> UnleashClient:
    """Return UnleashClient as its documentation bootstraps it."""
    cache = FileCache("checkout", directory=directory)
    cache.bootstrap_from_dict(json.loads(state))
    client = UnleashClient(
        url="http://127.0.0.1:9/api",
        app_name="checkout",
        cache=cache,
        disable_metrics=True,
        disable_registration=True,
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )
    client._engine.register_custom_strategies(strategies)
    return client


@pytest.fixture(name="pair", scope="module")
def _pair(new_client, state, strategies, tmp_path_factory):
    """Return our client and UnleashClient itself, with the same flags."""
    ours = new_client(strategies=strategies)
    ours.take_state(state)
    directory = str(tmp_path_factory.mktemp("cache"))
    return ours, raw_client(state, strategies, directory)


class TestAnswers:
    @settings(max_examples=60)
    @given(
        context=st.fixed_dictionaries(
            # Without the user's name a variant is drawn by lot.
            {
                "userId": st.sampled_from(["7", "8", "ada"])
                | st.text(min_size=1, max_size=5)
            },
            optional={
                "sessionId": st.text(max_size=5),
                "remoteAddress": st.ip_addresses(v=4).map(str) | st.just("10.1.2.3"),
                "environment": st.sampled_from(["default", "production"]),
                "currentTime": st.just("2024-01-01T00:00:00Z"),
                "plan": st.sampled_from(["pro", "free", "other"]),
                "properties": st.dictionaries(
                    st.sampled_from(["plan", "mail", "size", "version"]),
                    st.sampled_from(["pro", "a@x.io", "10", "9.5", "1.10.0", "x"])
                    | st.integers()
                    | st.booleans(),
                ),
            },
        )
    )
    def test_they_are_those_of_unleashclient(self, pair, features, context) -> None:
        """In any context, for every kind of flag; and so are the counts."""
        ours, raw = pair
        names = [feature["name"] for feature in features] + ["no such flag"]
        for name in names:
            assert raw.is_enabled(name, context) is ours.is_enabled(name, context), name
            assert raw.get_variant(name, context) == ours.get_variant(name, context)
        theirs = raw._engine.get_metrics()["toggles"]

        assert theirs == ours.take_counts()["toggles"]

    def test_without_a_context(self, pair) -> None:
        """The context and the fallback are as optional as with UnleashClient."""
        for client in pair:
            assert client.is_enabled("app")
            assert client.is_enabled("no such flag", None, lambda *_: True)
            assert not client.is_enabled("off", fallback_function=lambda *_: True)
            assert memory.DISABLED == client.get_variant("no such flag")

    def test_before_the_first_state(self, new_client) -> None:
        """Everything is off, and what was asked is counted."""
        client = new_client()

        assert not client.is_enabled("on")
        assert client.is_enabled("on", None, lambda *_: True)
        assert memory.DISABLED == client.get_variant("on")
        counted = {"yes": 1, "no": 2, "variants": {"disabled": 1}}
        assert counted == client.take_counts()["toggles"]["on"]


def test_the_version_is_one_we_know() -> None:
    """The private members are those of one major version."""
    assert constants.SDK_VERSION.startswith("6.")
