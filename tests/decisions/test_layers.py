"""Layers of evaluation context: for each field the upper layer's value counts."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless_flags._invocation.context import (
    checked,
    layered,
    mapping_of,
    read_context,
)
from serverless_flags._log import ProblemLog
from serverless_flags._passing import let_pass, passes
from serverless_flags._protocols import FIELDS
from serverless_flags.clients.lean import LeanClient
from serverless_flags.platform import Invocation

VALUES = ["a", "b", "c"]
CUSTOM = ["tenant", "plan"]
values = st.sampled_from(VALUES)
custom = st.sampled_from(CUSTOM)
top = st.dictionaries(st.sampled_from(["userId", "sessionId", *CUSTOM]), values)
properties = st.dictionaries(st.sampled_from(["userId", *CUSTOM]), values)
layers = st.builds(
    lambda fields, inner: fields if inner is None else {**fields, "properties": inner},
    top,
    st.none() | properties,
)


plain = layers.filter(lambda layer: not layer.keys() & layer.get("properties", {}))


def flat(layer: dict[str, Any], *, top_first: bool = False) -> dict[Any, Any]:
    """
    Return what a layer says: fields, and custom ones.

    Where one layer has a custom field in both places, engines decide which of them
    they read; upper layers win over either.
    """
    fields = {name: value for name, value in layer.items() if name in FIELDS}
    fields.pop("properties", None)
    above = {("custom", name): layer[name] for name in layer if name not in FIELDS}
    inner = layer.get("properties", {})
    inside = {("custom", name): value for name, value in inner.items()}
    parts = [inside, above] if top_first else [above, inside]
    return {**fields, **parts[0], **parts[1]}


@given(layers, layers, st.booleans())
def test_the_upper_layer_wins_field_by_field(base, context, top_first) -> None:
    """A custom field has one value, at the top level or among the properties."""
    before = json.dumps([base, context])
    wanted = [flat(layer, top_first=top_first) for layer in (base, context)]
    merged = layered(base, context)

    assert {**wanted[0], **wanted[1]} == flat(merged, top_first=top_first)
    assert before == json.dumps([base, context])


@given(layers, layers, layers, st.booleans())
def test_three_layers_are_merged_pairwise(one, two, three, top_first) -> None:
    """The adapter's, the invocation's and the caller's context, in this order."""
    wanted = [flat(layer, top_first=top_first) for layer in (one, two, three)]
    merged = layered(layered(one, two), three)

    assert {**wanted[0], **wanted[1], **wanted[2]} == flat(merged, top_first=top_first)


def _flag(name: str, value: str) -> dict[str, Any]:
    constraint = {"contextName": name, "operator": "IN", "values": [value]}
    strategy = {"name": "default", "parameters": {}, "constraints": [constraint]}
    return {"name": f"{name}={value}", "enabled": True, "strategies": [strategy]}


@pytest.fixture(name="engine", scope="module")
def _engine():
    """Return a client with a flag for each value of each custom field."""
    client = LeanClient(app_name="checkout")
    flags = [_flag(name, value) for name in CUSTOM for value in VALUES]
    client.load_state(json.dumps({"version": 2, "features": flags}))
    return client


@given(base=plain, context=plain)
def test_the_engine_sees_the_same_context(engine, base, context) -> None:
    """The engine evaluates flags with the fields that `flat` returns."""
    wanted = {**flat(base), **flat(context)}
    merged = layered(base, context)
    for name in CUSTOM:
        on = [v for v in VALUES if engine.is_enabled(f"{name}={v}", merged)]
        value = wanted.get(("custom", name))

        assert ([] if value is None else [value]) == on


class Keyed:
    """An object that ``dict()`` accepts, but not a mapping."""

    def keys(self) -> list[str]:
        return ["userId"]

    def __getitem__(self, name: str) -> str:
        return "7"


class TestTaken:
    @pytest.mark.parametrize(
        "given",
        [
            {"userId": "7"},
            MappingProxyType({"userId": "7"}),
            [("userId", "7")],
            (pair for pair in [("userId", "7")]),
            Keyed(),
        ],
        ids=["dict", "proxy", "pairs", "generator", "keys"],
    )
    def test_anything_that_dict_accepts_is_a_context(self, given) -> None:
        """UnleashClient accepts the same."""
        assert {"userId": "7"} == mapping_of(given)

    @pytest.mark.parametrize(
        "properties", [None, 7, "plan=pro", b"plan", ["plan"], object()]
    )
    def test_unreadable_properties_are_left_out(self, properties) -> None:
        """The other fields stay."""
        taken = mapping_of({"userId": "7", "properties": properties})

        assert {"userId": "7", "properties": {}} == taken

    def test_properties_are_converted_to_a_dict(self) -> None:
        """They are merged one by one."""
        given = {"properties": MappingProxyType({"plan": "pro"})}

        assert {"properties": {"plan": "pro"}} == mapping_of(given)

    def test_a_valid_context_is_not_copied(self) -> None:
        """Checking a valid context has no further cost."""
        given = {"userId": "7", "properties": {"plan": "pro"}}

        assert given is mapping_of(given)


ODD = {
    "None": None,
    "a string": "7",
    "empty text": "",
    "bytes": b"userId",
    "a number": 7,
    "a bool": True,
    "a list of strings": ["userId"],
    "a list of triples": [(1, 2, 3)],
    "an object": object(),
    "a class": dict,
    "keys that are no texts": [([], 7)],
}


class TestRefused:
    @pytest.mark.parametrize("given", ODD.values(), ids=ODD.keys())
    def test_one_warning_names_the_type(self, given, caplog) -> None:
        """The evaluation continues without the context."""
        problem_log = ProblemLog()
        answers = [checked(given, "the context", problem_log) for _ in range(3)]
        (record,) = caplog.records

        assert [{}, {}, {}] == answers
        assert f"is not a mapping but {type(given).__name__}" in record.getMessage()
        assert "give a dict" in record.getMessage()

    def test_each_source_has_its_own_warning(self, caplog) -> None:
        """An adapter's mistake does not hide a caller's."""
        problem_log = ProblemLog()
        for who in ("the adapter's context", "the caller's", "the caller's"):
            checked(7, who, problem_log)

        assert 2 == len(caplog.records)

    def test_a_coroutine_is_closed(self, caplog) -> None:
        """A warning names an ``async def`` callback; Python warns about nothing."""

        async def choose(invocation: Invocation) -> dict[str, str]:
            return {"userId": invocation.id or "7"}

        given = choose(Invocation())

        assert {} == checked(given, "the answer of the callback", ProblemLog())
        assert given.cr_frame is None
        assert "coroutine" in caplog.text


class TestRead:
    def test_the_callback_gets_the_arguments(self) -> None:
        """The ``context`` callback replaces the adapter's context."""
        seen = []

        def choose(invocation: Invocation) -> dict[str, str]:
            seen.append((invocation.args, dict(invocation.kwargs)))
            return {"userId": "8"}

        context = read_context(
            choose, Invocation(context={"userId": "7"}), ((1,), {"a": 2}), ProblemLog()
        )

        assert ("8", [((1,), {"a": 2})]) == (context["userId"], seen)

    @pytest.mark.parametrize("lazy", [True, False])
    def test_without_a_callback_the_adapters_context_is_used(self, lazy) -> None:
        """The adapter has a mapping, or a function that makes one when needed."""
        known: Any = {"userId": "7"}
        given = (lambda: known) if lazy else known
        context = read_context(None, Invocation(context=given), ((), {}), ProblemLog())

        assert "7" == context["userId"]

    @pytest.mark.parametrize("by", ["callback", "adapter"])
    @pytest.mark.parametrize("error", [KeyError, RecursionError, RuntimeError])
    def test_a_failure_leaves_the_context_out(self, raising, caplog, by, error) -> None:
        """It is logged once, with its traceback."""
        problem_log = ProblemLog()
        choose = raising(error) if by == "callback" else None
        invocation = Invocation(context=raising(error))
        answers = [
            read_context(choose, invocation, ((), {}), problem_log) for _ in range(2)
        ]
        (record,) = [r for r in caplog.records if r.levelname == "WARNING"]

        assert [{}, {}] == answers
        assert record.exc_info[0] is error

    @pytest.mark.parametrize("by", ["callback", "adapter"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    def test_an_interruption_propagates(self, raising, by, error) -> None:
        """A runtime's exception is not a failure of the callback."""
        choose = raising(error) if by == "callback" else None
        with pytest.raises(error):
            read_context(choose, Invocation(context=raising(error)), ((), {}), None)


class TestForeign:
    @pytest.fixture(autouse=True)
    def _fresh(self, monkeypatch):
        monkeypatch.setattr("serverless_flags._passing._names", frozenset())

    def test_without_names_no_exception_passes(self) -> None:
        """If the platform names no exceptions, each exception is a failure."""
        assert not passes(KeyError())

    def test_a_subclass_passes_too(self) -> None:
        """Subclasses of a named class pass, as in an ``except`` clause."""
        let_pass(["builtins.LookupError"])
        let_pass(["builtins.ZeroDivisionError"])

        assert passes(KeyError())
        assert passes(ZeroDivisionError())
        assert not passes(ValueError())


class OvertimeError(Exception):
    """Stands for an exception that a runtime raises into a running function."""


def test_a_runtimes_exception_passes_a_mapping(monkeypatch) -> None:
    """Raised while the mapping is read, it is no failure of the mapping."""
    name = f"{__name__}.OvertimeError"
    monkeypatch.setattr("serverless_flags._passing._names", frozenset({name}))

    class Slow:
        def keys(self):
            raise OvertimeError

    with pytest.raises(OvertimeError):
        mapping_of(Slow())
