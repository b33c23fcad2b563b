"""Layers of evaluation context: the adapter's, the invocation's, the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = frozenset(
    {
        "userId",
        "sessionId",
        "environment",
        "appName",
        "currentTime",
        "remoteAddress",
        "properties",
    }
)
"""Unleash's own fields; every other name is a property, wherever it stands."""


def mapping_of(context: Any) -> dict[str, Any] | None:
    """
    Return what others gave as an evaluation context as a dict; None when it is none.

    What ``dict()`` takes is taken, as UnleashClient takes it, but for texts. Likewise
    the ``properties``, which are left out when they are none.
    """
    made = context
    if type(context) is not dict:
        made = _dict_of(context)
        if made is None:
            return None
    properties = made.get("properties", _NONE)
    if type(properties) is not dict:
        made = {**made, "properties": _dict_of(properties) or {}}
    return made


def _dict_of(value: Any) -> dict[str, Any] | None:
    if isinstance(value, (str, bytes)):
        return None
    try:
        return dict(value)
    except (TypeError, ValueError):
        return None


def layered(base: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return two evaluation contexts as one: of two values for a field, the second's.

    A custom field is the same field at the top level and among the ``properties``.
    """
    merged = {**base, **context}
    below, above = base.get("properties"), context.get("properties")
    if not below and not above:
        return merged
    below, above = below or _NONE, above or _NONE
    properties = {**below, **above}
    for name in context:
        if name not in FIELDS and name not in above:
            properties.pop(name, None)  # the top level's is newer
    for name in above:
        if name in base and name not in FIELDS and name not in context:
            del merged[name]  # older than the property
    merged["properties"] = properties
    return merged


_NONE: dict[str, Any] = {}
