"""The values that host and worker exchange, like the protocol's ``TypedData``."""

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
    """An HTTP request: the value of an HTTP trigger."""

    method: str
    url: str
    headers: Mapping[str, str]
    route_params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An HTTP response: the result of an HTTP function."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The result of an invocation, or its error."""

    error: str | None = None
    """The function's exception, as ``Type: message``."""

    trace: str = ""
    """The traceback of that exception."""

    result: Data | None = None
    """The value of ``$return``."""

    outputs: Mapping[str, Data] = field(default_factory=dict)
    """The values of the output bindings, by name."""


class Worker(Protocol):
    """A Python worker library, called as the Functions host calls its process."""

    runtime: str
    """The name and version of the library, to show to users."""

    async def index(
        self, script: Path, environ: Mapping[str, str] | None
    ) -> Mapping[str, list[dict[str, Any]]]:
        """
        Import ``script`` and return the bindings of its functions, by name.

        A placeholder receives its instance's environment in ``environ``.
        """

    async def invoke(
        self, function: str, inputs: Mapping[str, Data], metadata: Mapping[str, Data]
    ) -> InvocationResult:
        """Call ``function`` with the trigger's and the input bindings' data."""


def typed(value: object) -> Data:
    """Return text and bytes unchanged, and all other values as JSON."""
    if isinstance(value, str):
        return Data("string", value)
    if isinstance(value, bytes):
        return Data("bytes", value)
    return Data("json", json.dumps(value))


def encode(value: object) -> dict[str, str]:
    """Return ``value``, with its kind, in a form that can be sent as JSON."""
    data = typed(value)
    text = base64.b64encode(data.value).decode() if data.kind == "bytes" else data.value
    return {data.kind: text}


def decode(encoded: Mapping[str, str]) -> Data:
    """Return the value that was passed to ``encode``."""
    [(kind, text)] = encoded.items()
    return Data(kind, base64.b64decode(text) if kind == "bytes" else text)
