"""Find the proxy for a URL in the environment variables that ``requests`` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from serverless_flags._transport.resolver import Endpoint, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serverless_flags._transport.stream import Stream

_SUCCESS = range(200, 300)
_PROXY_AUTHENTICATION_REQUIRED = 407
_PORTS = {"http": 80, "https": 443}
_UNSUPPORTED = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h", "ftp"})
"""Schemes that a message may quote; any other text may be part of a password."""


class Proxy(NamedTuple):
    """A proxy and how to use it."""

    variable: str
    """The environment variable that names it."""
    endpoint: Endpoint
    tls: bool
    """Whether the connection to the proxy itself uses TLS."""
    headers: Mapping[str, str]
    """Headers with its credentials, which are never logged."""


def read_proxy(
    variable: str, target: Endpoint, environ: Mapping[str, str]
) -> Proxy | None:
    """
    Return the proxy for a server; None: connect directly.

    Args:
        variable: the environment variable that names the proxy.
        target: the server.
        environ: the environment; its ``no_proxy`` may exclude the server.

    Raises:
        TransportError: when the proxy cannot be used. No part of its URL is quoted,
            because any part of a malformed URL may be the password.
    """
    if _bypassed(target, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    address = environ[variable].strip()
    return _read(variable, address if "://" in address else f"http://{address}")


def _read(variable: str, url: str) -> Proxy:
    scheme = url.partition("://")[0].lower()
    if scheme not in _PORTS:
        what = f"a {scheme}://" if scheme in _UNSUPPORTED else "another kind of"
        message = (
            f"{variable} names {what} proxy, and only http:// and https:// ones are"
            f" supported; use one of these, or list the server in no_proxy"
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
            " http://proxy.example:3128, with special characters of a password"
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


def open_tunnel(
    stream: Stream, proxy: Proxy, target: Endpoint, user_agent: str
) -> None:
    """
    Ask the proxy for a tunnel to the server.

    Args:
        stream: the connection to the proxy.
        proxy: the proxy.
        target: the server.
        user_agent: the value of the header ``User-Agent``.

    Raises:
        OSError, http.client.HTTPException: when the proxy does not open one.
    """
    from serverless_flags._transport.response import Response  # with http.client

    peer = target.authority
    headers = {"Host": peer, "User-Agent": user_agent, **proxy.headers}
    lines = [f"CONNECT {peer} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    stream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    response = Response(stream, method="CONNECT")  # type: ignore[arg-type]  # reason: it only calls makefile()
    response.begin()
    if response.status not in _SUCCESS:
        message = f"the proxy answered {response.status}"
        if response.status == _PROXY_AUTHENTICATION_REQUIRED:
            message += f" (add its user and password to {proxy.variable})"
        raise TransportError(message)
    if not stream.is_quiet():
        message = "the proxy sent data after its answer"
        raise TransportError(message)


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
