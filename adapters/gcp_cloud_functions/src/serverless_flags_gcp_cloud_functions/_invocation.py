"""
Read an invocation from the arguments that functions-framework passes.

Their types are recognised by the names of their classes, because importing Flask and
Starlette here would load the one that the function does not use.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from serverless_flags import Invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Reader = Callable[[Any, Callable[[], float] | None], Invocation]

MAX_ARGUMENTS = 16
"""The most arguments that are inspected: one or two, and those of decorators."""
_NO_ARGUMENTS = Invocation().kwargs
_MAX_TYPES = 256
"""The most types whose reader is remembered."""


class Readers:
    """The reader for each type of argument; each type is looked up once."""

    def __init__(self) -> None:
        self._known: dict[type, Reader | None] = {}

    def read(
        self, arguments: Iterable[Any], remaining_time: Callable[[], float] | None
    ) -> Invocation:
        """Read the first argument that is a request, an event or an event's context."""
        known = self._known
        for argument in arguments:
            kind = type(argument)
            reader = known[kind] if kind in known else self._look_up(kind, argument)
            if reader is not None:
                return reader(argument, remaining_time)
        return Invocation(remaining_time=remaining_time)

    def _look_up(self, kind: type, argument: Any) -> Reader | None:
        if kind.__name__ == "LocalProxy":  # Flask's proxy of another object
            return _reader_for(argument.__class__)
        reader = _reader_for(kind)
        if len(self._known) < _MAX_TYPES:
            self._known[kind] = reader
        return reader


def _reader_for(kind: type) -> Reader | None:
    """Return the reader for ``kind`` or one of its base classes."""
    for base in kind.__mro__:
        reader = _READERS.get(f"{base.__module__.partition('.')[0]}.{base.__name__}")
        if reader is not None:
            return reader
    return None


# tuple.__new__, because Invocation(...) takes twice as long, and each request makes one
def _read_wsgi(request: Any, remaining_time: Callable[[], float] | None) -> Invocation:
    environ = request.environ
    identifier = environ.get("HTTP_FUNCTION_EXECUTION_ID") or environ.get(
        "HTTP_X_CLOUD_TRACE_CONTEXT"
    )
    context = partial(_wsgi_context, request)
    return tuple.__new__(
        Invocation, (identifier, remaining_time, context, (), _NO_ARGUMENTS)
    )


def _wsgi_context(request: Any) -> dict[str, Any]:
    environ = request.environ
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
    return _http_context(
        forwarded, environ.get("REMOTE_ADDR"), request.method, request.path
    )


def _read_asgi(request: Any, remaining_time: Callable[[], float] | None) -> Invocation:
    headers = request.scope["headers"]
    identifier = _last(headers, b"function-execution-id") or _last(
        headers, b"x-cloud-trace-context"
    )
    context = partial(_asgi_context, request.scope)
    return tuple.__new__(
        Invocation, (identifier, remaining_time, context, (), _NO_ARGUMENTS)
    )


def _asgi_context(scope: Any) -> dict[str, Any]:
    forwarded = _last(scope["headers"], b"x-forwarded-for") or ""
    client = scope.get("client")
    return _http_context(
        forwarded, client[0] if client else None, scope["method"], scope["path"]
    )


def _last(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the last header ``name``, which is the one that Google's proxy adds."""
    for key, value in reversed(headers):
        if key == name:
            return value.decode("latin-1")
    return None


def _http_context(
    forwarded: str, peer: str | None, method: str, path: str
) -> dict[str, Any]:
    """
    Return the values that Google guarantees; there is no ``userId`` among them.

    Google sets ``X-Forwarded-For`` or appends to it (esp-v2 pull request 318), so a
    client may forge all but its last address. That one is the client's or, if the
    client sent the header itself, perhaps that of a hop inside Google; behind an
    external load balancer it is the balancer's. Without the header, as on your machine,
    the peer is the client. IAP's unsigned ``X-Goog-Authenticated-User-*`` headers can
    be forged if the function is reachable without IAP
    (cloud.google.com/iap/docs/signed-headers-howto).
    """
    context: dict[str, Any] = {"properties": {"method": method, "path": path}}
    address = forwarded.rpartition(",")[2].strip() or peer
    if address:
        context["remoteAddress"] = address
    return context


def _read_cloud_event(
    event: Any, remaining_time: Callable[[], float] | None
) -> Invocation:
    names = ("type", "source")
    properties = {name: _attribute(event, name) for name in names}
    return Invocation(
        _attribute(event, "id"), remaining_time, {"properties": properties}
    )


def _attribute(event: Any, name: str) -> Any:
    """Return an attribute of a CloudEvent of SDK 1, SDK 2 or Firebase."""
    if hasattr(type(event), "__getitem__"):
        return event[name]
    getter = getattr(event, f"get_{name}", None)
    return getattr(event, name) if getter is None else getter()


def _read_background(
    context: Any, remaining_time: Callable[[], float] | None
) -> Invocation:
    properties = {"type": context.event_type} if context.event_type else {}
    return Invocation(
        context.event_id or None, remaining_time, {"properties": properties}
    )


_READERS: dict[str, Reader] = {
    "werkzeug.Request": _read_wsgi,
    "starlette.Request": _read_asgi,
    "cloudevents.CloudEvent": _read_cloud_event,
    "firebase_functions.CloudEvent": _read_cloud_event,
    "google.Context": _read_background,
}
