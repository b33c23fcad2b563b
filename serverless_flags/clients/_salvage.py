"""A state that the engine refuses, without the parts that it cannot read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from serverless_flags.clients._engine import PARTLY_LOADED, EngineError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[Any, str], None]
    """Lets an engine parse a state; raises EngineError where it refuses it."""

CHUNK = 50
"""Parts that are tried at once: most chunks hold nothing that cannot be read."""
MOST_NAMES = 10
LONGEST_NAME = 100


def salvage(
    parse: Parse, engine: Any, body: str, complaint: str
) -> tuple[str, str | None]:
    """
    Let an engine take what it can read of a state that it has refused.

    Args:
        parse: lets an engine parse a state.
        engine: a new one.
        body: what it has refused.
        complaint: what it said, escaped.

    Returns:
        The state that it has taken, and a warning of what was left out, if any was.

    Raises:
        ValueError: when the body is no state, or none of its flags can be read.
    """
    state = _state_of(body, complaint)
    mended = Mender(parse, type(engine)).mend(state)
    left_out = _listed(mended.left_out)
    if left_out and not mended.flags:
        why = f"{_no_state(complaint)} Nothing of it can be read: {left_out}"
        raise ValueError(why)
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
    """What is left of a state."""

    state: dict[str, Any]
    flags: int
    left_out: list[str]


class Mender:
    """
    Finds the parts of a state that an engine can read.

    Args:
        parse: lets an engine parse a state.
        new_engine: makes an engine to try parts with.
    """

    def __init__(self, parse: Parse, new_engine: Callable[[], Any]) -> None:
        self._parse, self._new_engine = parse, new_engine
        self._left_out: list[str] = []
        self._flags = 0

    def mend(self, state: dict[str, Any]) -> Mended:
        """Return a state of those parts, and the names of the others."""
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
        """Return a part of a delta that the engine can read; None for no such one."""
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
        """Return the parts of a list that can be read; name the others."""
        good: list[Any] = []
        for start in range(0, len(parts), CHUNK):
            chunk = parts[start : start + CHUNK]
            if self._readable({"version": 2, **around(chunk)}):
                good += chunk
                continue
            for part in chunk:
                if self._readable({"version": 2, **around([part])}):
                    good.append(part)
                else:
                    self._left_out.append(f"the {kind} {_shown(part, key)}")
        return good

    def _readable(self, state: dict[str, Any]) -> bool:
        engine = self._new_engine()
        try:
            self._parse(engine, json.dumps(state))
        except EngineError as error:
            return str(error).startswith(PARTLY_LOADED)
        return True


def _state_of(body: str, complaint: str) -> dict[str, Any]:
    """Return the JSON of a state, with the operators that Unleash Edge meant."""
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
    return f"{complaint[:120]}; is the url the one of the API?"


def _with_operator(part: dict[str, Any]) -> dict[str, Any]:
    """Unleash Edge writes an operator that is newer than itself as {"UNKNOWN": ...}."""
    operator = part.get("operator")
    if isinstance(operator, dict) and [*operator] == ["UNKNOWN"]:
        part["operator"] = operator["UNKNOWN"]
    return part


def _number(digits: str) -> float:
    """Read an integer; Python refuses those of more than 4,300 digits."""
    return int(digits) if len(digits) < 20 else float(digits)  # noqa: PLR2004  reason: digits of what the engine reads


def _shown(part: Any, key: str) -> str:
    """Return how a warning names a part: its name as the server wrote it, escaped."""
    name = part.get(key) if isinstance(part, dict) else None
    if isinstance(name, (str, int)):
        return ascii(name)[:LONGEST_NAME]
    return f"without a {key}"


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    listed = ", ".join(names[:MOST_NAMES])
    return f"{listed} and {more} more" if more > 0 else listed


def _warning(left_out: str, complaint: str, partly: str | None) -> str:
    why = complaint if partly is None else f"{complaint}; {partly}"
    return (
        f"the flag state is taken without what the engine cannot read: {left_out};"
        f" correct it in Unleash or install a newer yggdrasil-engine ({why})"
    )
