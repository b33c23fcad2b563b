"""
Read an invocation's id and, from an HTTP request, its evaluation context.

Requests are recognised by their attributes: ``azure.functions.HttpRequest`` and, with
the worker's HTTP streaming, Starlette's ``Request`` have the same three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


MAX_ARGUMENTS = 32
"""The most arguments that are inspected: bindings, context, and those of decorators."""


def find_request(arguments: Iterable[Any]) -> Any:
    """
    Return the HTTP request among a function's arguments, or None.

    The worker's request precedes other objects with the same attributes, such as a
    client library's request that a decorator injects.
    """
    requests = [argument for argument in arguments if _is_request(argument)]
    return next(filter(_is_worker_request, requests), requests[0] if requests else None)


def _is_request(argument: Any) -> bool:
    return all(hasattr(argument, name) for name in ("headers", "method", "url"))


def _is_worker_request(argument: Any) -> bool:
    """Recognise the class by its name: importing it would delay the app's start."""
    for base in type(argument).__mro__:
        package = base.__module__.partition(".")[0]
        if (package, base.__name__) in _REQUESTS:
            return True
    return False


_REQUESTS = {("azure", "HttpRequest"), ("starlette", "Request")}


def find_invocation_id(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """
    Return the invocation's id, or None if the function does not declare the context.

    The worker passes it as ``context``; a decorator may pass it under another name or
    by position.
    """
    arguments: Iterable[Any] = kwargs.values()
    if args or "context" in kwargs or len(kwargs) > MAX_ARGUMENTS:
        arguments = (kwargs.get("context"), *arguments, *args)[:MAX_ARGUMENTS]
    for argument in arguments:
        identifier = getattr(argument, "invocation_id", None)
        if identifier is not None and isinstance(identifier, str):
            return identifier
    return None


def read_context(request: Any, *, authenticated: bool) -> dict[str, Any]:
    """
    Return the values that Azure guarantees.

    Args:
        request: the request, as the function receives it.
        authenticated: whether App Service authentication is on. Only then does it
            remove a client's own ``X-MS-CLIENT-PRINCIPAL-*`` headers
            (learn.microsoft.com/azure/app-service/configure-authentication-user-identities).
    """
    path = urlsplit(str(request.url)).path
    context: dict[str, Any] = {"properties": {"method": request.method, "path": path}}
    address = client_address(_header(request, "x-forwarded-for"))
    if address:
        context["remoteAddress"] = address
    user = _header(request, "x-ms-client-principal-id") if authenticated else ""
    if user:
        context["userId"] = user
    return context


def _header(request: Any, name: str) -> str:
    """Return a header, or an empty text; the request may be a mock."""
    value = request.headers.get(name)
    return value if isinstance(value, str) else ""


def client_address(forwarded: str) -> str:
    """
    Return the address in the last entry of ``X-Forwarded-For``, without its port.

    App Service's front end appends its peer as ``address:port``; a client may forge all
    earlier entries. Microsoft's .NET worker trusts the last one, too
    (azure-functions-dotnet-worker#3111). Behind Front Door it is Front Door's address.
    ``X-Azure-ClientIP`` has the client's, but can be forged if the app is reachable
    without Front Door.
    """
    entry = forwarded.rpartition(",")[2].strip()
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
