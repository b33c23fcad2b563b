"""The results are those of UnleashClient, set up as its documentation says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from UnleashClient.cache import FileCache
from UnleashClient.clients import UnleashClient
from UnleashClient.utils import InstanceAllowType

from serverless_flags._log import ProblemLog
from serverless_flags._protocols import DISABLED
from serverless_flags.clients.unleash import _EvaluatorAdapter


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
    """Return the client of this package and UnleashClient, with the same flags."""
    client = new_client(strategies=strategies)
    client.load_state(state)
    directory = str(tmp_path_factory.mktemp("cache"))
    return client, raw_client(state, strategies, directory)


class TestAnswers:
    @settings(max_examples=60)
    @given(
        context=st.fixed_dictionaries(
            # Without the user's name a variant is chosen at random.
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
    def test_the_results_are_those_of_unleashclient(
        self, pair, features, context
    ) -> None:
        """In any context, for every kind of flag; and so are the counts."""
        client, raw = pair
        names = [feature["name"] for feature in features] + ["no such flag"]
        for name in names:
            assert raw.is_enabled(name, context) is client.is_enabled(name, context), (
                name
            )
            assert raw.get_variant(name, context) == client.get_variant(name, context)
        theirs = raw._engine.get_metrics()["toggles"]

        assert theirs == client.drain_counts()["toggles"]

    def test_without_a_context(self, pair) -> None:
        """The context and the fallback are optional, as with UnleashClient."""
        for client in pair:
            assert client.is_enabled("app")
            assert client.is_enabled("no such flag", None, lambda *_: True)
            assert not client.is_enabled("off", fallback_function=lambda *_: True)
            assert DISABLED == client.get_variant("no such flag")

    def test_before_the_first_state(self, new_client) -> None:
        """Everything is off, and evaluations are counted."""
        client = new_client()

        assert not client.is_enabled("on")
        assert client.is_enabled("on", None, lambda *_: True)
        assert DISABLED == client.get_variant("on")
        counted = {"yes": 1, "no": 2, "variants": {"disabled": 1}}
        assert counted == client.drain_counts()["toggles"]["on"]


def test_another_exception_propagates() -> None:
    """A runtime's exception may be raised while a context is enriched."""

    class OvertimeError(Exception):
        """Stands for an exception that a runtime raises into a running function."""

    def interrupted(_context):
        raise OvertimeError

    evaluator = SimpleNamespace(enabled=None, variant=None)
    asked = _EvaluatorAdapter(
        evaluator, None, interrupted, {"appName": "checkout"}, ProblemLog()
    )
    with pytest.raises(OvertimeError):
        asked.is_enabled("simpleFlag", {"userId": "7"}, None)
