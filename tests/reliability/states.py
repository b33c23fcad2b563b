"""The flags that a server has in a life: numbered, some with a broken flag."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Broken(Enum):
    """The kind of broken flag that is served in addition to the evaluated ones."""

    NOTHING = "nothing"
    OPERATOR = "unknown operator"  # as Unleash Edge writes one newer than itself
    REFUSED = "refused flag"  # an engine refuses the state for it


def state(number: int, broken: Broken = Broken.NOTHING) -> dict[str, Any]:
    """Return the flags with a number, which is the name of a variant."""
    variant = {
        "name": str(number),
        "weight": 1000,
        "weightType": "variable",
        "stickiness": "default",
        "overrides": [],
    }
    return {
        "version": 2,
        "features": [
            *_BROKEN[broken],  # first: what comes behind it must be read too
            _feature("simpleFlag", enabled=number % 2 == 0),
            _feature("version", variants=[variant]),
        ],
    }


def _feature(
    name: str, *, enabled: bool = True, constraints: Any = (), variants: Any = ()
) -> dict[str, Any]:
    strategy = {"name": "default", "constraints": [*constraints], "parameters": {}}
    return {
        "name": name,
        "enabled": enabled,
        "strategies": [strategy],
        "variants": [*variants],
    }


_UNKNOWN = {
    "contextName": "email",
    "operator": {"UNKNOWN": "REGEX"},
    "values": [],
    "value": "^a",
    "inverted": False,
    "caseInsensitive": False,
}

_BROKEN = {
    Broken.NOTHING: [],
    Broken.OPERATOR: [_feature("beta", constraints=[_UNKNOWN])],
    Broken.REFUSED: [_feature("broken", variants=[{"name": "a", "weight": "much"}])],
}
