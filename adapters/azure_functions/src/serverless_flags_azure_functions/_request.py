"""
The evaluation context of an HTTP request: who asks, and from where.

Requests are recognised by what they can do: ``azure.functions.HttpRequest`` and, with
the worker's HTTP streaming, Starlette's ``Request`` have the same three attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


def find_request(arguments: Iterable[Any]) -> Any:
    """Return the HTTP request among a function's arguments, or None."""
    for argument in arguments:
        if hasattr(argument, "headers") and hasattr(argument, "method"):
            return argument
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
    address = client_address(request.headers.get("x-forwarded-for", ""))
    if address:
        context["remoteAddress"] = address
    user = request.headers.get("x-ms-client-principal-id") if authenticated else None
    if user:
        context["userId"] = user
    return context


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
