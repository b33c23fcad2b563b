"""What passes between the host and a worker: the protocol's ``TypedData``, plainly."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Data(NamedTuple):
    """One value and its kind: ``string``, ``bytes``, ``json`` (text) or ``http``."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class HttpCall:
    """The value of an HTTP trigger."""

    method: str
    url: str
    headers: Mapping[str, str]
    route_params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What an HTTP function returned."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an invocation."""

    error: str | None = None
    """The exception that the function raised, as ``Type: message``."""

    trace: str = ""
    """Its traceback."""

    result: Data | None = None
    """The value of ``$return``."""

    outputs: Mapping[str, Data] = field(default_factory=dict)
    """What was set on output parameters, by name."""


class Worker(Protocol):
    """A Python worker library, driven as the Functions host drives the process."""

    runtime: str
    """Its name and version, for people."""

    async def index(
        self, script: Path, environ: Mapping[str, str] | None
    ) -> Mapping[str, list[dict[str, Any]]]:
        """
        Import ``script`` and return the bindings of its functions, by name.

        ``environ`` makes an instance of a placeholder: it replaces the environment.
        """

    async def invoke(
        self, function: str, inputs: Mapping[str, Data], metadata: Mapping[str, Data]
    ) -> Outcome:
        """Call ``function`` with the trigger's and the input bindings' data."""


def typed(value: object) -> Data:
    """Return text and bytes as they are, everything else as JSON."""
    if isinstance(value, str):
        return Data("string", value)
    if isinstance(value, bytes):
        return Data("bytes", value)
    return Data("json", json.dumps(value))


def encode(value: object) -> dict[str, str]:
    """Return ``value``, typed, as JSON can carry it."""
    data = typed(value)
    text = base64.b64encode(data.value).decode() if data.kind == "bytes" else data.value
    return {data.kind: text}


def decode(encoded: Mapping[str, str]) -> Data:
    """Return the typed value that ``encode`` was given."""
    [(kind, text)] = encoded.items()
    return Data(kind, base64.b64decode(text) if kind == "bytes" else text)
