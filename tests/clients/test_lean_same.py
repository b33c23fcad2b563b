"""
`unleash`, `lean` and UnleashClient itself agree on every state and context.

The contexts exclude chance: the engine decides at random where a flag is rolled out
by random, or where the field it sticks to is missing, so that field is always set.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from UnleashClient.clients import UnleashClient
from UnleashClient.constants import FEATURES_URL
from UnleashClient.utils import InstanceAllowType

from serverless_flags.clients.lean import LeanClient

PARENTS = ["p0", "p1"]
CHILDREN = ["c0", "c1", "c2", "flåg \N{WAVING WHITE FLAG}"]
NAMES = [*PARENTS, *CHILDREN, "no such flag", ""]
PRESENT = ["userId", "sessionId", "environment", "appName"]
FIELDS = [*PRESENT, "remoteAddress", "plan"]
VALUES = ["7", "8", "ada", "pro", "checkout", "default", "10", "1.2.3", "10.0.0.1"]
OF_VALUES = ["IN", "NOT_IN", "STR_CONTAINS", "STR_STARTS_WITH", "STR_ENDS_WITH"]
OF_A_VALUE = ["NUM_EQ", "NUM_GT", "NUM_LTE", "SEMVER_EQ", "SEMVER_GT", "REGEX", "WAT"]


def _optional(**parts: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


def _merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    return st.tuples(*parts).map(
        lambda dicts: {key: value for part in dicts for key, value in part.items()}
    )


dates = st.fixed_dictionaries(
    {
        "contextName": st.just("currentTime"),
        "operator": st.sampled_from(["DATE_BEFORE", "DATE_AFTER"]),
        "value": st.sampled_from(["2020-01-01T00:00:00Z", "2019-01-01", "soon"]),
        "values": st.just([]),
    }
)
comparisons = _merged(
    st.fixed_dictionaries(
        {"contextName": st.sampled_from([*FIELDS, "size", "version"])}
    ),
    st.one_of(
        st.fixed_dictionaries(
            {
                "operator": st.sampled_from(OF_VALUES),
                "values": st.lists(st.sampled_from(VALUES), max_size=3),
            }
        ),
        st.fixed_dictionaries(
            {
                "operator": st.sampled_from(OF_A_VALUE),
                "value": st.sampled_from(["10", "9.5", "1.2.3", "2.0.0", "^a.*", "("]),
                "values": st.just([]),
            }
        ),
    ),
)
constraints = _merged(
    comparisons | dates,
    _optional(inverted=st.booleans(), caseInsensitive=st.booleans()),
)
variants = st.lists(
    _merged(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["red", "green", "blau", "ü"]),
                "weight": st.sampled_from([1, 333, 1000]),
                "stickiness": st.sampled_from(["default", *PRESENT]),
            }
        ),
        _optional(
            payload=st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["string", "json"]),
                    "value": st.sampled_from(["", "x", '{"a": "\u00e5"}']),
                }
            ),
            overrides=st.lists(
                st.fixed_dictionaries(
                    {
                        "contextName": st.sampled_from(FIELDS),
                        "values": st.lists(st.sampled_from(VALUES), max_size=2),
                    }
                ),
                max_size=2,
            ),
        ),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda variant: variant["name"],
)
rollouts = st.sampled_from(["0", "33", "50", "100"])
groups = st.sampled_from(["g", "h"])
kinds = st.one_of(
    st.just({"name": "default", "parameters": {}}),
    st.fixed_dictionaries(
        {
            "name": st.just("flexibleRollout"),
            "parameters": st.fixed_dictionaries(
                {
                    "rollout": rollouts,
                    "stickiness": st.sampled_from(["default", *PRESENT]),
                    "groupId": groups,
                }
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(
                ["gradualRolloutUserId", "gradualRolloutSessionId"]
            ),
            "parameters": st.fixed_dictionaries(
                {"percentage": rollouts, "groupId": groups}
            ),
        }
    ),
    st.sampled_from(
        [
            {"name": "userWithId", "parameters": {"userIds": "7, ada"}},
            {"name": "remoteAddress", "parameters": {"IPs": "10.0.0.0/8, ::1"}},
            {"name": "mine", "parameters": {"letter": "a"}},
            {"name": "mine", "parameters": {}},
            {"name": "mine"},
            {"name": "nobody's", "parameters": {"strategies": "x"}},
        ]
    ),
)
strategies_of_flags = _merged(
    kinds,
    _optional(
        constraints=st.lists(constraints, max_size=2),
        segments=st.lists(st.sampled_from([1, 2, 3]), max_size=2),
        variants=variants,
    ),
)


def _features(
    names: list[str], least: int, **more: Any
) -> st.SearchStrategy[list[dict[str, Any]]]:
    feature = _merged(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(names),
                "enabled": st.sampled_from([True, True, True, False]),
                "strategies": st.lists(strategies_of_flags, max_size=3),
            }
        ),
        _optional(variants=variants, impressionData=st.booleans(), **more),
    )
    return st.lists(
        feature,
        min_size=least,
        max_size=len(names),
        unique_by=lambda flag: flag["name"],
    )


dependencies = st.lists(
    _merged(
        st.fixed_dictionaries({"feature": st.sampled_from([*PARENTS, "no such flag"])}),
        _optional(
            enabled=st.booleans(),
            variants=st.lists(st.sampled_from(["red", "green"]), max_size=2),
        ),
    ),
    max_size=2,
)
segments = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from([1, 2]),
            "constraints": st.lists(constraints, max_size=2),
        }
    ),
    max_size=2,
    unique_by=lambda segment: segment["id"],
)
states = st.fixed_dictionaries(
    {
        "version": st.just(2),
        "features": st.tuples(
            _features(PARENTS, 1), _features(CHILDREN, 0, dependencies=dependencies)
        ).map(lambda lists: [*lists[0], *lists[1]]),
        "segments": segments,
    }
)
values = st.sampled_from(VALUES) | st.text(max_size=4) | st.integers() | st.booleans()
contexts = st.fixed_dictionaries(
    {
        "userId": st.sampled_from(["7", "8", "ada"]) | st.text(min_size=1, max_size=5),
        "sessionId": st.sampled_from(["s", "t"]),
    },
    optional={
        "remoteAddress": st.sampled_from(["10.0.0.1", "192.168.0.1", "::1", "home"]),
        "environment": st.sampled_from(["default", "production"]),
        "appName": st.sampled_from(["checkout", "other"]),
        "currentTime": st.sampled_from(["2019-06-01T00:00:00Z", "never"]),
        "plan": values,
        "size": values,
        "properties": st.dictionaries(
            st.sampled_from(["plan", "size", "version", "userId"]), values, max_size=3
        ),
    },
)


class Bootstrapped:
    """A cache with a state from the start, as far as UnleashClient uses it."""

    bootstrapped = True

    def __init__(self, state: str) -> None:
        self._state = state

    def mset(self, data):
        """Do nothing."""

    def get(self, key):
        return self._state if key == FEATURES_URL else None


@pytest.fixture(name="clients", scope="module")
def _clients(new_client, strategies):
    """Return a function that makes the three clients of a state."""

    def make(state: str) -> tuple[Any, Any, Any]:
        raw = UnleashClient(
            url="http://127.0.0.1:9/api",
            app_name="checkout",
            cache=Bootstrapped(state),
            disable_metrics=True,
            disable_registration=True,
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
        )
        raw._engine.register_custom_strategies(strategies)
        lean = LeanClient(app_name="checkout", strategies=strategies)
        unleash = new_client(strategies=strategies)
        lean.load_state(state)
        unleash.load_state(state)
        return raw, unleash, lean

    return make


def _answers(client: Any, contexts: list[dict[str, Any]]) -> list[Any]:
    """Return a client's results for each flag, in a comparable form."""
    return [
        (
            name,
            client.is_enabled(name, dict(context)),
            client.is_enabled(name, dict(context), lambda *_: True),
            json.dumps(client.get_variant(name, dict(context))),
        )
        for context in contexts
        for name in NAMES
    ]


class TestSame:
    @settings(max_examples=150)
    @given(state=states, contexts=st.lists(contexts, min_size=1, max_size=3))
    def test_answers_and_counts_are_the_same(self, clients, state, contexts) -> None:
        """Flags, fallbacks and variants, for any state and any context."""
        raw, unleash, lean = clients(json.dumps(state))
        expected = _answers(raw, contexts)
        counted = raw._engine.get_metrics()["toggles"]

        assert expected == _answers(unleash, contexts)
        assert expected == _answers(lean, contexts)
        assert counted == unleash.drain_counts()["toggles"]
        assert counted == lean.drain_counts()["toggles"]

    @settings(max_examples=60)
    @given(
        states=st.lists(states, min_size=2, max_size=3),
        contexts=st.lists(contexts, min_size=1, max_size=2),
    )
    def test_after_several_states_too(self, clients, states, contexts) -> None:
        """In the same engine or a new one, a state replaces all of the previous one."""
        _, unleash, lean = clients(json.dumps(states[0]))
        for state in states[1:]:
            for client in (unleash, lean):
                client.load_state(json.dumps(state))

            assert _answers(unleash, contexts) == _answers(lean, contexts)
        assert unleash.drain_counts()["toggles"] == lean.drain_counts()["toggles"]
