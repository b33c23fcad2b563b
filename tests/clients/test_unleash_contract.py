"""
Undocumented parts of UnleashClient and its engine that this package uses.

If a new version breaks one of these tests, only the flag client has to be adapted.
"""

from __future__ import annotations

import inspect
import json
import logging
import socket
import threading
from datetime import datetime

import pytest
import yggdrasil_engine
from UnleashClient import _evaluator, _headers, _payloads, constants
from UnleashClient.clients import UnleashClient
from UnleashClient.utils import InstanceAllowType
from yggdrasil_engine.engine import UnleashEngine

from serverless_flags._protocols import DISABLED, keeps_state
from serverless_flags._settings import load_settings
from serverless_flags.clients import _unleash_api
from serverless_flags.clients._unleash_api import Identity, UnleashApi


@pytest.fixture(name="sdk_of")
def _sdk_of():
    """Return a function that finds the UnleashClient in use."""
    return lambda client: client.is_enabled.__self__


class TestNames:
    """The names that this package uses exist and have the expected meaning."""

    def test_the_constants_are_the_same(self) -> None:
        """The specification, and the variant of a flag that is off."""
        assert constants.CLIENT_SPEC_VERSION == _unleash_api.CLIENT_SPEC
        assert constants.DISABLED_VARIATION == DISABLED

    def test_the_constructor_takes_the_arguments(self) -> None:
        """Every keyword that turns something off, and the names of the flavor."""
        taken = set(inspect.signature(UnleashClient).parameters)

        assert {
            "url",
            "app_name",
            "environment",
            "instance_id",
            "project_name",
            "disable_metrics",
            "disable_registration",
            "verbose_log_level",
            "cache",
            "scheduler",
            "scheduler_executor",
            "multiple_instance_mode",
            "sdk_flavor",
            "sdk_flavor_version",
        } <= taken
        assert "SILENTLY_ALLOW" in InstanceAllowType.__members__

    def test_the_engine_is_the_evaluating_one(self, new_client, sdk_of) -> None:
        """`UnleashClient._engine`; another engine counts."""
        client = new_client()
        engine = sdk_of(client)._engine

        assert isinstance(engine, UnleashEngine)
        client.is_enabled("flag")
        client.get_variant("flag")
        assert engine.get_metrics() is None
        assert client.drain_counts() is not None

    def test_the_evaluator_and_the_enricher_are_called(
        self, new_client, sdk_of
    ) -> None:
        """`UnleashClient._evaluator`, which is replaced, and `_enricher.build`."""
        sdk = sdk_of(new_client())
        theirs = inspect.signature(_evaluator._Evaluator.is_enabled).parameters
        asked = []

        class Evaluator:
            def is_enabled(self, *arguments):
                asked.append(arguments)
                return True

            def get_variant(self, *arguments):
                asked.append(arguments)
                return _evaluator._VariantResult({"name": "red"}, is_found=True)

        sdk._evaluator = Evaluator()
        assert sdk.is_enabled("flag", {"userId": "7"}, len)
        assert {"name": "red"} == sdk.get_variant("flag")

        assert [("flag", {"userId": "7"}, len), ("flag", None)] == asked
        assert [*theirs] == ["self", "feature_name", "context", "fallback_function"]
        assert "checkout" == sdk._enricher.build({"userId": "7"})["appName"]

    def test_the_engine_has_a_version(self, new_client) -> None:
        """It is sent with the counts."""
        assert isinstance(yggdrasil_engine.__yggdrasil_core_version__, str)
        assert (
            yggdrasil_engine.__yggdrasil_core_version__ == new_client().engine_version
        )

    def test_the_client_is_a_state_client(self, new_client) -> None:
        """The session loads its state and drains its counts."""
        assert keeps_state(new_client())


class TestQuiet:
    """UnleashClient starts nothing by itself."""

    def test_there_is_no_job(self, new_client, sdk_of, state) -> None:
        """The object that replaces its scheduler has no jobs."""
        client = new_client()
        client.load_state(state)

        assert sdk_of(client).metric_job is None
        assert not hasattr(sdk_of(client).unleash_scheduler, "add_job")
        assert not sdk_of(client).is_initialized

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
        client.load_state(state)
        assert client.is_enabled("on", {"userId": "7"})
        client.get_variant("variants", {"userId": "7"})
        client.drain_counts()
        client.load_state(state)

        assert threads == threading.enumerate()
        assert [] == list(tmp_path.iterdir())

    def test_nothing_is_logged(self, new_client, state, strategies, caplog) -> None:
        """Neither for a second client nor for an evaluation before a state."""
        caplog.set_level(logging.INFO)
        for _ in range(2):
            client = new_client(strategies=strategies, instance_id="the same")
            client.is_enabled("no such flag")
            client.get_variant("no such flag")
            client.load_state(state)
            client.is_enabled("on")

        assert [] == caplog.messages


class TestWire:
    """Requests have the content that UnleashClient would send."""

    @pytest.fixture(name="config")
    def _config(self, new_client, sdk_of):
        """Return the configuration from which UnleashClient builds its requests."""
        client = new_client(instance_id="i", max_age=15, flush_interval=60)
        return sdk_of(client)._config

    def test_the_metrics(self, config) -> None:
        """Key by key and value by value, except for the random connection id."""
        bucket = {"start": "1", "stop": "2", "toggles": {}}
        theirs = _payloads._build_metrics_payload(config, bucket)
        settings = load_settings({"instance_id": "i"}, {})
        engine = yggdrasil_engine.__yggdrasil_core_version__
        body = Identity(settings, "checkout").metrics_payload(bucket, engine)
        sent = json.loads(body)

        assert theirs.keys() == sent.keys()
        assert len(theirs.pop("connectionId")) == len(sent.pop("connectionId"))
        assert theirs == sent

    def test_the_registration(self, config) -> None:
        """Key by key; values differ where they name the SDK or a time."""
        theirs = _payloads._build_register_payload(config, {"mine": object()})
        settings = load_settings({"instance_id": "i"}, {})
        engine = yggdrasil_engine.__yggdrasil_core_version__
        sent = json.loads(
            Identity(settings, "checkout").register_payload(["mine"], engine, 60)
        )

        assert theirs.keys() == sent.keys()
        assert datetime.fromisoformat(sent["started"]).tzinfo is not None
        assert sent["sdkVersion"].startswith("serverless-flags:")
        for key in theirs.keys() - {"connectionId", "started", "sdkVersion"}:
            assert theirs[key] == sent[key], key

    @pytest.mark.parametrize("kind", ["polling", "metrics"])
    def test_the_headers(self, config, kind, server) -> None:
        """Name by name; values differ where they name the SDK."""
        theirs = getattr(_headers._HeaderFactory(config), kind)()
        settings = load_settings({"instance_id": "i", "url": server.url}, {})
        api = UnleashApi(settings, server.url, Identity(settings, "checkout"))
        api.flush_interval = 60.0
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


def test_the_version_is_a_known_one() -> None:
    """The private members are those of one major version."""
    assert constants.SDK_VERSION.startswith("6.")
