"""What UnleashClient makes of an evaluation context before the engine sees it."""

from __future__ import annotations

import sys
from time import gmtime, strftime, time_ns
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
        fields["currentTime"] = _now()
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
    datetime = sys.modules.get("datetime")  # where it is not loaded, nothing is one
    if datetime is not None and isinstance(value, datetime.datetime):
        return str(value.isoformat())
    return str(value)


class _Now:
    """The moment as ``datetime`` writes it, in UTC, without the cost of loading it."""

    def __init__(self) -> None:
        self._known = (-1, "")

    def __call__(self) -> str:
        seconds, nanoseconds = divmod(time_ns(), 1_000_000_000)
        known, text = self._known
        if seconds != known:
            text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))
            self._known = seconds, text
        return f"{text}.{nanoseconds // 1000:06}+00:00"


_now = _Now()
_NONE: Mapping[str, Any] = {}
