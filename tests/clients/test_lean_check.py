"""A body is checked in outline: the same verdict, without holding all of it."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from serverless_flags.clients._unleash_api import check_state

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = ["features", "events", "strategies", "name", "enabled", "type"]
OPERANDS = {"operator": "IN", "values": [str(number) for number in range(10)]}
STRATEGY = {"name": "default", "constraints": [{"contextName": "a", **OPERANDS}] * 3}
FLAG = {"name": "flag", "enabled": True, "strategies": [STRATEGY]}

scalars = st.none() | st.booleans() | st.integers() | st.sampled_from(["", "a"])
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=20,
)
flags = st.just(FLAG) | st.fixed_dictionaries(
    {"name": st.just("b"), "enabled": st.booleans(), "strategies": st.lists(anything)},
    optional={"features": anything, "events": anything},
)
bodies = st.fixed_dictionaries(
    {"features": st.lists(flags | anything, max_size=3)},
    optional={"events": anything, "strategies": anything, "name": anything},
)


@given(body=anything | bodies)
def test_leaving_out_most_of_a_body_changes_no_verdict(body) -> None:
    """Nor the number of its flags, wherever the words stand that are looked for."""
    fetched = check_state(json.dumps(body).encode())
    features = body.get("features") if isinstance(body, dict) else None
    whole = len(features) if isinstance(features, list) else None

    assert _is_state(body) is (fetched.error is None)
    assert fetched.flags in {None, whole}


def test_a_large_body_is_checked_in_little_memory() -> None:
    """Its objects are never in memory together, as they are when it is parsed."""
    body = json.dumps({"version": 2, "features": [FLAG] * 1000}).encode()

    assert 1000 == check_state(body).flags
    assert 2 * _memory(lambda: check_state(body)) < _memory(
        lambda: json.loads(body.decode())
    )


def _is_state(body: Any) -> bool:
    """Say of a whole body what `check_state` says of its outline."""
    if not isinstance(body, dict):
        return False
    features, events = body.get("features"), body.get("events")
    if isinstance(features, list) and all(
        isinstance(feature, dict)
        and isinstance(feature.get("name"), str)
        and isinstance(feature.get("enabled"), bool)
        and isinstance(feature.get("strategies"), list)
        for feature in features
    ):
        return True
    return isinstance(events, list) and all(isinstance(event, dict) for event in events)


def _memory(call: Callable[[], object]) -> int:
    """Return the most bytes that a call holds at a time."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
