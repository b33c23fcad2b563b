"""What UnleashClient makes of an evaluation context before the engine sees it."""

from __future__ import annotations

from datetime import datetime, timezone
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
"""Unleash's own fields (``UnleashClient._context.BASE_CONTEXT_FIELDS``)."""


def enriched(
    known: Mapping[str, Any], context: Mapping[str, Any] | None
) -> dict[str, Any]:
    """
    Return a context as the engine takes it: texts, and properties.

    What is no field of Unleash's becomes a property; the caller's own ``properties``
    win over those.

    Args:
        known: what is the same in each context; the caller's wins.
        context: the caller's.
    """
    fields: dict[str, Any] = {**known, **(context or {})}
    given = fields.pop("properties", _NONE)
    if "currentTime" not in fields:
        fields["currentTime"] = datetime.now(timezone.utc).isoformat()
    properties: dict[str, str] = {}
    for name, value in fields.items():
        text = value if type(value) is str else _text(value)
        fields[name] = text
        if name not in FIELDS:
            properties[name] = text
    for name, value in given.items():
        properties[name] = value if type(value) is str else _text(value)
    fields["properties"] = properties
    return fields


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_NONE: Mapping[str, Any] = {}
