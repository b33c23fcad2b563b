"""
The evaluation context of an HTTP request: who asks, and from where.

Requests are recognised by what they can do: ``azure.functions.HttpRequest`` and, with
the worker's HTTP streaming, Starlette's ``Request`` have the same three attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


MOST_ARGUMENTS = 32
"""Arguments that are looked at: bindings, the context, and what decorators inject."""


def find_request(arguments: Iterable[Any]) -> Any:
    """
    Return the HTTP request among a function's arguments, or None.

    A request of the worker's wins over other objects with its attributes, such as a
    client library's request that a decorator has injected.
    """
    requests = [argument for argument in arguments if _is_request(argument)]
    return next(filter(_is_the_workers, requests), requests[0] if requests else None)


def _is_request(argument: Any) -> bool:
    return all(hasattr(argument, name) for name in ("headers", "method", "url"))


def _is_the_workers(argument: Any) -> bool:
    """Recognise the class by its names: importing it would cost the app's start."""
    for base in type(argument).__mro__:
        package = base.__module__.partition(".")[0]
        if (package, base.__name__) in _REQUESTS:
            return True
    return False


_REQUESTS = {("azure", "HttpRequest"), ("starlette", "Request")}


def find_invocation_id(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """
    Return the invocation's identifier, or None where the context is not declared.

    The worker gives the context the name ``context``; a decorator may give it another,
    or hand it on by its place.
    """
    arguments: Iterable[Any] = kwargs.values()
    if args or "context" in kwargs or len(kwargs) > MOST_ARGUMENTS:
        arguments = (kwargs.get("context"), *arguments, *args)[:MOST_ARGUMENTS]
    for argument in arguments:
        identifier = getattr(argument, "invocation_id", None)
        if identifier is not None and isinstance(identifier, str):
            return identifier
    return None


def read_context(request: Any, *, authenticated: bool) -> dict[str, Any]:
    """
    Return what Azure vouches for.

    Args:
        request: the request, as the function gets it.
        authenticated: whether App Service authentication is on. Only then are a
            client's own ``X-MS-CLIENT-PRINCIPAL-*`` headers removed
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
    """Return a header; a unit test may give a mock for the request."""
    value = request.headers.get(name)
    return value if isinstance(value, str) else ""


def client_address(forwarded: str) -> str:
    """
    Return the address in the last entry of ``X-Forwarded-For``, without its port.

    App Service's front end appends the peer it saw, as ``address:port``; all before it
    may be the client's invention. Microsoft's .NET worker trusts the same one
    (azure-functions-dotnet-worker#3111). Behind Front Door it is Front Door's address;
    ``X-Azure-ClientIP`` has the client's, but anyone who reaches the app past Front
    Door can send it.
    """
    entry = forwarded.rpartition(",")[2].strip()
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
