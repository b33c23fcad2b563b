"""Convert evaluation contexts to what the engine takes, as UnleashClient does."""

from __future__ import annotations

import json
import sys
from json.encoder import encode_basestring_ascii
from time import gmtime, strftime, time_ns
from typing import TYPE_CHECKING, Any

from serverless_flags._log import ProblemLog
from serverless_flags._passing import passes
from serverless_flags._protocols import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def enriched(
    known: Mapping[str, Any],
    context: Any,
    note: Callable[[str], object] = str,
) -> dict[str, Any]:
    """
    Return a context as the engine takes it: string fields, and properties.

    Fields that Unleash does not define become properties; the caller's own
    ``properties`` take precedence. Unreadable parts are left out.

    Args:
        known: fields that are the same in each context; the caller's take precedence.
        context: the caller's context, a mapping or pairs.
        note: called with a description of each part that is left out.
    """
    given: dict[Any, Any] = dict(known)
    _update(given, context, "the context", note)
    more: dict[Any, Any] = {}
    if "properties" in given:
        _update(more, given.pop("properties"), "properties", note, falsy=False)
    if "currentTime" not in given:
        given["currentTime"] = _now()
    fields: dict[str, Any] = _texts(given, note)
    properties = {name: text for name, text in fields.items() if name not in FIELDS}
    properties.update(_texts(more, note))
    fields["properties"] = properties
    return fields


def _update(
    into: dict[Any, Any],
    source: Any,
    what: str,
    note: Callable[[str], object],
    *,
    falsy: bool = True,
) -> None:
    """Update ``into`` like ``dict.update``, with all of ``source`` or nothing."""
    if type(source) is dict:
        into.update(source)
        return
    try:
        into.update({} if falsy and not source else dict(source))
    except Exception as error:  # a user's mapping may raise anything
        plain = type(source) in _BUILT_IN and not isinstance(error, _DICT_ERRORS)
        if plain or passes(error):
            raise
        note(f"{what} ({type(source).__name__})")


def _texts(values: Mapping[Any, Any], note: Callable[[str], object]) -> dict[Any, Any]:
    texts: dict[Any, Any] = {}
    for name, value in values.items():
        try:
            texts[name] = value if type(value) is str else _text(value)
        except _UnreadableError:
            note(f"the value of {_shown(name)} ({type(value).__name__})")
    return texts


def _shown(name: Any) -> str:
    return ascii(name[:100]) if isinstance(name, str) else type(name).__name__


def complain(faults: Sequence[str], problem_log: ProblemLog) -> None:
    """Warn once about the parts that were left out of an evaluation context."""
    if faults:
        problem_log.warn(
            "context",
            "flags are evaluated without the unreadable parts of an evaluation context:"
            " %s; pass a dict of strings",
            ", ".join(faults[:10]),
        )


def written(context: Mapping[Any, Any]) -> bytes:
    """
    Return an enriched context as JSON.

    Returns b"" if a key cannot be a JSON key. UnleashClient answers False for such a
    context, and so does the engine for b"".
    """
    try:
        return _as_json(context).encode()
    except (TypeError, ValueError):
        return b""


class ContextText:
    """
    Writes evaluation contexts as JSON for the engine.

    The result is that of `enriched`, but written directly: building the ``dict`` first
    took longer than the engine's evaluation. All values of ``known`` are strings.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._start = f'{_as_json(known)[:-1]}, "currentTime": "'
        self._begin = (-1, "")
        """The second of the last context, and how contexts of that second begin."""
        self._problem_log = ProblemLog()

    def __call__(self, context: Any) -> tuple[bytes, dict[str, Any] | None]:
        """Return a context as JSON; and as a dict, where one was built."""
        fields = properties = ""
        if context is not None:
            if type(context) is not dict:
                return self._write_generally(context)
            if context:
                try:
                    fields, properties = _write_directly(context)
                except _NeedsGeneralPathError:
                    return self._write_generally(context)
        seconds, nanoseconds = divmod(time_ns(), 1_000_000_000)
        known, begin = self._begin  # one read, as other threads change it
        if seconds != known:
            begin = f"{self._start}{_clock_text(seconds)}."
            self._begin = seconds, begin
        text = (
            f'{begin}{nanoseconds // 1000:06}+00:00"{fields},'
            f' "properties": {{{properties[2:]}}}}}'
        )
        return text.encode(), None

    def _write_generally(self, context: Any) -> tuple[bytes, dict[str, Any]]:
        faults: list[str] = []
        seen = enriched(self._known, context, faults.append)
        complain(faults, self._problem_log)
        return written(seen), seen


class _NeedsGeneralPathError(Exception):
    """Raised for a context that cannot be written directly."""


class _UnreadableError(_NeedsGeneralPathError):
    """Raised for a value that cannot be converted to a string."""


def _write_directly(context: dict[Any, Any]) -> tuple[str, str]:
    """Write the caller's fields and properties. Raises _NeedsGeneralPathError."""
    fields = properties = ""
    for name, value in context.items():
        if name in _PLAIN_FIELDS:
            text = value if type(value) is str else _text(value)
            fields += f"{_PLAIN_FIELDS[name]}{encode_basestring_ascii(text)}"
        elif name == "properties":
            properties = _properties(value)
        elif name in FIELDS or "properties" in context or type(name) is not str:
            raise _NeedsGeneralPathError
        else:
            text = value if type(value) is str else _text(value)
            piece = (
                f", {encode_basestring_ascii(name)}: {encode_basestring_ascii(text)}"
            )
            fields += piece
            properties += piece
    return fields, properties


def _properties(given: Any) -> str:
    if type(given) is not dict:
        raise _NeedsGeneralPathError
    written = ""
    for name, value in given.items():
        if type(name) is not str:
            raise _NeedsGeneralPathError
        text = value if type(value) is str else _text(value)
        written += f", {encode_basestring_ascii(name)}: {encode_basestring_ascii(text)}"
    return written


def _text(value: Any) -> str:
    """Convert a value to a string. Raises _UnreadableError."""
    if type(value) in _SIMPLE:
        try:
            return str(value)
        except ValueError:  # an integer of more than 4,300 digits
            raise _UnreadableError from None
    datetime = sys.modules.get("datetime")  # if it is not loaded, no value is one
    try:
        if datetime is not None and isinstance(value, datetime.datetime):
            return str(value.isoformat())
        return str(value)
    except Exception as error:  # a user's object may raise anything
        if passes(error):
            raise
        raise _UnreadableError from error


def _now() -> str:
    """Return the current time in UTC as ``datetime`` writes it, without that import."""
    seconds, nanoseconds = divmod(time_ns(), 1_000_000_000)
    return f"{_clock_text(seconds)}.{nanoseconds // 1000:06}+00:00"


def _clock_text(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))


_as_json = json.JSONEncoder(check_circular=False).encode
"""Encodes dicts of strings, for which no circularity check is needed."""
_PLAIN_FIELDS = {
    name: f', "{name}": ' for name in ("userId", "sessionId", "remoteAddress")
}
"""The beginnings of fields that only callers set."""
_BUILT_IN = frozenset({list, tuple, str, int, float, bool, type(None)})
"""Built-in types that are no mappings and run no user code."""
_DICT_ERRORS = (TypeError, ValueError)
"""The exceptions that ``dict`` raises for them."""
_SIMPLE = frozenset({int, float, bool, type(None)})
"""Types whose conversion to a string runs no user code."""
