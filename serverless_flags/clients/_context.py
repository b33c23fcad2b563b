"""What UnleashClient makes of an evaluation context before the engine sees it."""

from __future__ import annotations

import json
import sys
from json.encoder import encode_basestring_ascii
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


class ContextText:
    """
    Writes evaluation contexts as the engine reads them.

    What `enriched` says of them, as JSON, without making the ``dict`` first: that took
    longer than the engine takes to answer. ``known`` holds nothing but texts.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._start = f'{_as_json(known)[:-1]}, "currentTime": "'

    def __call__(self, context: Mapping[str, Any] | None) -> bytes:
        if not context:
            return f'{self._start}{_now()}", "properties": {{}}}}'.encode()
        try:
            fields, properties = _quickly(context)
        except _TooOddError:
            return _as_json(enriched(self._known, context)).encode()
        text = f'{self._start}{_now()}"{fields}, "properties": {{{properties[2:]}}}}}'
        return text.encode()


class _TooOddError(Exception):
    """A context that is not written piece by piece."""


def _quickly(context: Mapping[str, Any]) -> tuple[str, str]:
    """Write the caller's fields and properties; raises _TooOddError for rare ones."""
    fields = properties = ""
    for name, value in context.items():
        if name in _PLAIN_FIELDS:
            text = value if type(value) is str else _text(value)
            fields += f', "{name}": {encode_basestring_ascii(text)}'
        elif name == "properties":
            properties = _properties(value)
        elif name in FIELDS or "properties" in context or type(name) is not str:
            raise _TooOddError
        else:
            text = value if type(value) is str else _text(value)
            piece = (
                f", {encode_basestring_ascii(name)}: {encode_basestring_ascii(text)}"
            )
            fields += piece
            properties += piece
    return fields, properties


def _properties(given: Mapping[str, Any]) -> str:
    written = ""
    for name, value in given.items():
        if type(name) is not str:
            raise _TooOddError
        text = value if type(value) is str else _text(value)
        written += f", {encode_basestring_ascii(name)}: {encode_basestring_ascii(text)}"
    return written


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
_as_json = json.JSONEncoder(check_circular=False).encode
"""For what holds nothing but texts."""
_PLAIN_FIELDS = frozenset({"userId", "sessionId", "remoteAddress"})
"""Fields that only a caller gives."""
_NONE: Mapping[str, Any] = {}
