"""The proxy that the environment names for a URL, as ``requests`` finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from serverless_flags._transport.resolver import Endpoint, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}
_OTHERS = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h", "ftp"})
"""Schemes that a message may quote: nobody's password is one of them."""


class Proxy(NamedTuple):
    """A proxy, and what it is sent."""

    variable: str
    """The environment variable that names it."""
    endpoint: Endpoint
    tls: bool
    """Whether the proxy itself is spoken to over TLS."""
    headers: Mapping[str, str]
    """Its credentials, which are never logged."""


def read_proxy(
    variable: str, target: Endpoint, environ: Mapping[str, str]
) -> Proxy | None:
    """
    Return the proxy for a server, None when it is asked directly.

    Args:
        variable: the environment variable that names the proxy.
        target: the server.
        environ: the environment, which may except the server by ``no_proxy``.

    Raises:
        TransportError: when the proxy cannot be used. A proxy's URL may hold a password
            wherever it is malformed, so no part of it is quoted.
    """
    if _bypassed(target, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    address = environ[variable].strip()
    return _read(variable, address if "://" in address else f"http://{address}")


def _read(variable: str, url: str) -> Proxy:
    scheme = url.partition("://")[0].lower()
    if scheme not in _PORTS:
        what = f"a {scheme}://" if scheme in _OTHERS else "another kind of"
        message = (
            f"{variable} names {what} proxy, and only http:// and https:// ones are"
            f" supported; name one of these, or name the server in no_proxy"
        )
        raise TransportError(message)
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[scheme]
    except ValueError:
        parts, port = urlsplit(""), 0
    if not parts.hostname or parts.path not in {"", "/"} or parts.port == 0:
        message = (
            f"{variable} is not the url of a proxy; write for example"
            " http://proxy.example:3128, special characters of a password"
            " percent-encoded"
        )
        raise TransportError(message)
    headers = _credentials(parts)
    return Proxy(variable, Endpoint(parts.hostname, port), scheme == "https", headers)


def _credentials(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    import base64  # only for a proxy with credentials

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    try:
        encoded = pair.encode("latin-1")
    except UnicodeEncodeError:
        encoded = pair.encode("utf-8", "surrogatepass")
    return {"Proxy-Authorization": f"Basic {base64.b64encode(encoded).decode()}"}


def _bypassed(target: Endpoint, no_proxy: str) -> bool:
    """Whether ``no_proxy`` names the host, its domain, its address or its network."""
    entries = [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]
    host = target.host.lower()
    for entry in entries:
        name = entry.lstrip("*").lstrip(".")
        if entry == "*" or name in {host, f"{host}:{target.port}"}:
            return True
        if host.endswith(f".{name}") or _in_network(host, entry):
            return True
    return False


def _in_network(host: str, network: str) -> bool:
    if "/" not in network:
        return False
    import ipaddress  # only where no_proxy names a network

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
