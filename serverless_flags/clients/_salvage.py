"""Load what is readable of a state that the engine has rejected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from serverless_flags.clients._engine import PARTLY_LOADED, EngineError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[Any, str], None]
    """Loads a state into an engine; raises EngineError if the engine rejects it."""

CHUNK = 50
"""Parts that are tried at once; in most chunks the engine can read all of them."""
MOST_NAMES = 10
LONGEST_NAME = 100


def salvage(
    parse: Parse, engine: Any, body: str, complaint: str
) -> tuple[str, str | None]:
    """
    Load the parts of a rejected state that the engine can read.

    Args:
        parse: loads a state into an engine.
        engine: a new engine.
        body: the rejected body.
        complaint: the engine's error message, escaped.

    Returns:
        The state that was loaded, and a warning about parts that were left out, if any.

    Raises:
        ValueError: when the body is not a flag state, or no flag can be read.
    """
    state = _state_of(body, complaint)
    mended = Mender(parse, type(engine)).mend(state)
    left_out = _listed(mended.left_out)
    if left_out and not mended.flags:
        message = f"{_no_state(complaint)} No part of it can be read: {left_out}"
        raise ValueError(message)
    text = json.dumps(mended.state)
    partly = None
    try:
        parse(engine, text)
    except EngineError as error:
        partly = quoted(str(error), 500)
        if not partly.startswith(PARTLY_LOADED):
            raise ValueError(partly) from None
    return text, _warning(left_out, complaint, partly) if left_out else partly


class Mended(NamedTuple):
    """A state without its unreadable parts."""

    state: dict[str, Any]
    flags: int
    left_out: list[str]


class Mender:
    """
    Finds the parts of a state that an engine can read.

    Args:
        parse: loads a state into an engine.
        new_engine: returns an engine to try parts with.
    """

    def __init__(self, parse: Parse, new_engine: Callable[[], Any]) -> None:
        self._parse, self._new_engine = parse, new_engine
        self._left_out: list[str] = []
        self._flags = 0

    def mend(self, state: dict[str, Any]) -> Mended:
        """Return a state of the readable parts, and the names of the others."""
        if isinstance(state.get("features"), list):
            version = state.get("version")
            mended = {
                "version": version if type(version) is int else 2,
                **self._parts(state),
            }
        else:
            events = [self._event(event) for event in state["events"]]
            mended = {"events": [event for event in events if event is not None]}
        return Mended(mended, self._flags, self._left_out)

    def _event(self, event: Any) -> Any:
        """Return the readable part of an event of a delta; None if there is none."""
        if isinstance(event, dict) and isinstance(event.get("features"), list):
            event = {**event, **self._parts(event)}
        if self._readable({"events": [event]}):
            self._flags += isinstance(event, dict) and "feature" in event
            return event
        self._left_out.append(f"the event {_shown(event, 'type')}")
        return None

    def _parts(self, holder: dict[str, Any]) -> dict[str, Any]:
        segments = holder.get("segments")
        if segments is not None and not isinstance(segments, list):
            self._left_out.append("all segments")
            segments = None
        features = self._list(
            holder["features"], "name", "flag", lambda some: {"features": some}
        )
        self._flags += len(features)
        return {
            "features": features,
            "segments": self._list(
                segments or [],
                "id",
                "segment",
                lambda some: {"features": [], "segments": some},
            ),
        }

    def _list(
        self, parts: list[Any], key: str, kind: str, around: Callable[[list[Any]], Any]
    ) -> list[Any]:
        """Return the readable parts of a list; record the names of the others."""
        readable: list[Any] = []
        for start in range(0, len(parts), CHUNK):
            chunk = parts[start : start + CHUNK]
            if self._readable({"version": 2, **around(chunk)}):
                readable += chunk
                continue
            for part in chunk:
                if self._readable({"version": 2, **around([part])}):
                    readable.append(part)
                else:
                    self._left_out.append(f"the {kind} {_shown(part, key)}")
        return readable

    def _readable(self, state: dict[str, Any]) -> bool:
        engine = self._new_engine()
        try:
            self._parse(engine, json.dumps(state))
        except EngineError as error:
            return str(error).startswith(PARTLY_LOADED)
        return True


def _state_of(body: str, complaint: str) -> dict[str, Any]:
    """Parse a state, with the operators that Unleash Edge has wrapped."""
    try:
        state = json.loads(
            body, object_hook=_with_operator, parse_int=_number, strict=False
        )
    except (ValueError, RecursionError):
        state = None
    if isinstance(state, dict) and (
        isinstance(state.get("events"), list)
        or (isinstance(state.get("features"), list) and "version" in state)
    ):
        return state
    raise ValueError(_no_state(complaint))


def _no_state(complaint: str) -> str:
    return f"{complaint[:120]}; does the url point to the API?"


def _with_operator(part: dict[str, Any]) -> dict[str, Any]:
    """Unwrap an operator that Unleash Edge does not know: {"UNKNOWN": ...}."""
    operator = part.get("operator")
    if isinstance(operator, dict) and [*operator] == ["UNKNOWN"]:
        part["operator"] = operator["UNKNOWN"]
    return part


def _number(digits: str) -> float:
    """Parse an integer; Python rejects those of more than 4,300 digits."""
    return int(digits) if len(digits) < 20 else float(digits)  # noqa: PLR2004  reason: the digits of the engine's largest integers


def _shown(part: Any, key: str) -> str:
    """Return the name of a part for a warning, escaped."""
    name = part.get(key) if isinstance(part, dict) else None
    if isinstance(name, (str, int)):
        return ascii(name)[:LONGEST_NAME]
    return f"without a {key}"


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    listed = ", ".join(names[:MOST_NAMES])
    return f"{listed} and {more} more" if more > 0 else listed


def _warning(left_out: str, complaint: str, partly: str | None) -> str:
    reason = complaint if partly is None else f"{complaint}; {partly}"
    return (
        f"flags are loaded without the parts that the engine cannot read: {left_out};"
        f" correct them in Unleash or install a newer yggdrasil-engine ({reason})"
    )
