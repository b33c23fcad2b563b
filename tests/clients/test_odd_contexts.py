"""In odd contexts both clients agree with UnleashClient, and never raise."""

from __future__ import annotations

import datetime as dt
import enum
import json
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from UnleashClient.clients import UnleashClient
from UnleashClient.constants import FEATURES_URL
from UnleashClient.utils import InstanceAllowType

from serverless_flags import _passing as passing_module
from serverless_flags.clients.lean import LeanClient

HUGE = 10**5000
"""An integer that Python does not write."""


class Plan(str, enum.Enum):
    PRO = "pro"


class Field(str, enum.Enum):
    USER = "userId"
    PROPERTIES = "properties"


class Silent:
    """Cannot be converted to a string."""

    def __str__(self) -> str:
        raise RuntimeError


class Undecided:
    """Is neither true nor false, like an array."""

    def __bool__(self) -> bool:
        raise ValueError


class Pairs:
    """An object that ``dict.update`` accepts, without ``items``."""

    def keys(self):
        return ["userId"]

    def __getitem__(self, name):
        return "ada"


class Sorted(dict):
    """A mapping that is not a dict."""

    def items(self):
        return [("userId", "bob")]


FEATURES = [
    {"name": "on", "enabled": True, "strategies": []},
    *(
        {
            "name": value,
            "enabled": True,
            "strategies": [
                {
                    "name": "default",
                    "constraints": [
                        {"contextName": field, "operator": "IN", "values": [value]}
                    ],
                }
            ],
        }
        for field, value in (("userId", "ada"), ("plan", "pro"), ("plan", "Plan.PRO"))
    ),
]
STATE = json.dumps({"version": 2, "features": FEATURES})
NAMES = [flag["name"] for flag in FEATURES]


class Bootstrapped:
    bootstrapped = True

    def mset(self, data):
        """Do nothing."""

    def get(self, key):
        return STATE if key == FEATURES_URL else None


@pytest.fixture(name="raw", scope="module")
def _raw():
    """Return UnleashClient itself."""
    return UnleashClient(
        url="http://127.0.0.1:9/api",
        app_name="checkout",
        cache=Bootstrapped(),
        disable_metrics=True,
        disable_registration=True,
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )


@pytest.fixture(name="both")
def _both(new_client):
    """Return both clients of this package."""
    both = {"unleash": new_client(), "lean": LeanClient(app_name="checkout")}
    for client in both.values():
        client.load_state(STATE)
    return both


def answers(client, context):
    """Return a client's results for each flag and variant."""
    return [
        (client.is_enabled(name, context), client.get_variant(name, context))
        for name in NAMES
    ]


SAME = {
    "no context": None,
    "nothing": "",
    "an empty list": [],
    "zero": 0,
    "pairs": [("userId", "ada")],
    "a tuple of pairs": (("userId", "ada"), ("plan", "pro")),
    "pairs of lists": [["plan", "pro"]],
    "keys and items": Pairs(),
    "a mapping": types.MappingProxyType({"userId": "ada"}),
    "a mapping of another kind": Sorted(userId="ada"),
    "properties as pairs": {"properties": [("plan", "pro")]},
    "properties as a mapping": {"properties": types.MappingProxyType({"plan": "pro"})},
    "empty properties": {"properties": [], "userId": "ada"},
    "properties: empty": {"properties": "", "userId": "ada"},
    "keys that are not strings": {3: 4, None: 1, True: 2, 1.5: 3, "userId": "ada"},
    "keys of properties": {"properties": {3: 4, None: 1, "plan": "pro"}},
    "keys that JSON forbids": {("a",): 1, "userId": "ada"},
    "bytes for a key": {b"a": 1, "userId": "ada"},
    "bytes for a value": {"userId": b"ada", "plan": "pro"},
    "a lone surrogate": {"userId": "ada", "plan": "\ud800"},
    "a lone surrogate in a key": {"\udfff": "x", "userId": "ada"},
    "a null character": {"userId": "ada\0", "plan": "pro"},
    "a null character in a key": {"us\0er": "x", "plan": "pro"},
    "a large number": {"userId": 10**400, "plan": "pro"},
    "NaN": {"userId": float("nan"), "plan": "pro"},
    "infinity": {"size": float("inf"), "plan": "pro"},
    "dicts in dicts": {"userId": {"id": {"x": [1]}}, "plan": "pro"},
    "a nested context": {"properties": {"properties": {"plan": "pro"}}},
    "an enumeration": {"plan": Plan.PRO},
    "an enumeration for a key": {Field.USER: "ada"},
    "properties by an enumeration": {Field.PROPERTIES: {"plan": "pro"}},
    "a datetime": {"plan": dt.datetime(2020, 1, 1), "userId": "ada"},  # noqa: DTZ001  reason: the test is about naive times
    "fields of Unleash's": {"appName": 7, "environment": None, "userId": "ada"},
}
BLAMED = {
    "a number": (7, ["on"]),
    "a string": ("userId", ["on"]),
    "an incomplete pair": ([("userId", "ada"), ("plan",)], ["on"]),
    "unhashable keys": ([([], 1), ("userId", "ada")], ["on"]),
    "neither true nor false": (Undecided(), ["on"]),
    "properties of None": ({"userId": "ada", "properties": None}, ["on", "ada"]),
    "properties: a number": ({"userId": "ada", "properties": 7}, ["on", "ada"]),
    "properties: a string": ({"userId": "ada", "properties": "x"}, ["on", "ada"]),
    "an unreadable value": ({"userId": "ada", "plan": Silent()}, ["on", "ada"]),
    "an unreadable property": (
        {"plan": "pro", "properties": {"x": Silent()}},
        ["on", "pro"],
    ),
    "a number that is too long": ({"userId": "ada", "plan": HUGE}, ["on", "ada"]),
}


class TestSame:
    @pytest.mark.parametrize("client", ["unleash", "lean"])
    @pytest.mark.parametrize("which", SAME)
    def test_the_results_are_those_of_unleashclient(
        self, raw, both, client, which
    ) -> None:
        """Whatever it can read, and where it fails silently."""
        assert answers(raw, SAME[which]) == answers(both[client], SAME[which])

    @settings(max_examples=100)
    @given(
        context=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(st.tuples(st.text(max_size=3), inner), max_size=3)
                | st.dictionaries(
                    st.sampled_from(["userId", "plan", "properties", "appName"])
                    | st.text(st.characters(), max_size=3)
                    | st.integers()
                    | st.none(),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        )
    )
    def test_any_context_has_a_result(self, raw, new_client, context) -> None:
        """Where UnleashClient raises, both clients return the same result."""
        lean, unleash = LeanClient(app_name="checkout"), new_client()
        for client in (lean, unleash):
            client.load_state(STATE)
        ours = answers(lean, context)
        try:
            expected = answers(raw, context)
        except (AttributeError, TypeError, ValueError):
            expected = ours

        assert expected == ours == answers(unleash, context)

    @pytest.mark.parametrize("client", ["unleash", "lean"])
    @pytest.mark.parametrize("name", [7, None, b"on", [], {}, "", "\ud800", "on\0x"])
    def test_names_are_handled_as_by_unleashclient(
        self, raw, both, client, name
    ) -> None:
        """An invalid name is off; for the engine a null character ends a name."""
        ours = both[client]
        assert raw.is_enabled(name) is ours.is_enabled(name)
        assert raw.get_variant(name) == ours.get_variant(name)

    @pytest.mark.parametrize("client", ["unleash", "lean"])
    @pytest.mark.parametrize(
        "fallback", [True, "yes", 0, lambda: True, lambda *_: 1 / 0, lambda *_: 7]
    )
    def test_fallbacks_work_as_with_unleashclient(
        self, raw, both, client, fallback
    ) -> None:
        """One that is not callable, or fails, leaves the flag off."""
        expected = raw.is_enabled("unknown", {"userId": "7"}, fallback)

        assert expected is both[client].is_enabled("unknown", {}, fallback)


class TestBlamed:
    @pytest.mark.parametrize("client", ["unleash", "lean"])
    @pytest.mark.parametrize("which", BLAMED)
    def test_unreadable_parts_are_left_out_with_one_warning(
        self, raw, both, client, which, caplog
    ) -> None:
        """UnleashClient raises into the function; here the rest is used."""
        context, on = BLAMED[which]
        with pytest.raises((AttributeError, TypeError, ValueError, RuntimeError)):
            raw.is_enabled("on", context)
        ours = [name for name in NAMES if both[client].is_enabled(name, context)]
        both[client].get_variant("on", context)

        assert on == ours
        assert 1 == len(caplog.messages)
        assert "without the unreadable parts" in caplog.messages[0]

    @pytest.mark.parametrize("client", ["unleash", "lean"])
    def test_the_warning_names_the_parts(self, both, client, caplog) -> None:
        """By name and type, never by value."""
        both[client].is_enabled("on", {"plan": Silent(), 3: Silent(), "properties": 7})

        for words in ("'plan' (Silent)", "int (Silent)", "properties (int)"):
            assert words in caplog.messages[0]

    @pytest.mark.parametrize("client", ["unleash", "lean"])
    @pytest.mark.parametrize("where", ["context", "value", "properties"])
    def test_a_runtimes_exceptions_propagate(
        self, both, client, where, monkeypatch
    ) -> None:
        """Such as a timeout while a value is converted to a string."""

        class OvertimeError(Exception):
            pass

        class Slow:
            def __str__(self) -> str:
                raise OvertimeError

            def keys(self):
                raise OvertimeError

        name = f"{OvertimeError.__module__}.{OvertimeError.__qualname__}"
        monkeypatch.setattr(passing_module, "_names", frozenset({name}))
        context = {
            "context": Slow(),
            "value": {"userId": Slow()},
            "properties": {"properties": Slow()},
        }[where]
        with pytest.raises(OvertimeError):
            both[client].is_enabled("on", context)
