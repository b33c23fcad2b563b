"""The way to a server: proxy, addresses, certificates, as ``requests`` finds them."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_Address = tuple[int, tuple[object, ...]]

PORTS = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """A host and its port."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """The form of a ``CONNECT`` line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Route:
    """The way to one URL's server: directly, or through a proxy of the environment."""

    def __init__(self, url: str, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        parts = urlsplit(url)
        self.tls = parts.scheme == "https"
        self.target = _endpoint(parts)
        self.host_header = parts.netloc
        self.path = parts.path
        self.proxy = _proxy(parts.scheme, self.target, environ)
        self._ca = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
        self._context: ssl.SSLContext | None = None
        self._addresses: list[_Address] = []

    @property
    def proxy_headers(self) -> dict[str, str]:
        """What the proxy wants to be told."""
        if self.proxy is None or not self.proxy.username:
            return {}
        import base64  # only behind a proxy with credentials

        pair = f"{unquote(self.proxy.username)}:{unquote(self.proxy.password or '')}"
        token = base64.b64encode(pair.encode("latin-1")).decode("ascii")
        return {"Proxy-Authorization": f"Basic {token}"}

    def connect(self, deadline: float) -> socket.socket:
        """
        Open a TCP connection to the server or its proxy.

        Names are resolved once: a resolver has no deadline, and at the end of an
        instance there is no time to ask it again. Raises OSError.
        """
        if self._addresses:
            try:
                return self._connect_to(self._addresses, deadline)
            except OSError:
                self._addresses = []
                if time.monotonic() >= deadline:
                    raise
        peer = self.target if self.proxy is None else _endpoint(self.proxy)
        found = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
        addresses: list[_Address] = [(item[0], item[4]) for item in found]
        return self._connect_to(addresses, deadline)

    def _connect_to(self, addresses: list[_Address], deadline: float) -> socket.socket:
        """Connect to the first address that answers, and begin there next time."""
        error: OSError = OSError("the name has no address")
        for position, (family, address) in enumerate(addresses):
            left = max(deadline - time.monotonic(), 0.001)
            last = position == len(addresses) - 1
            try:
                sock = _dial(family, address, left if last else left / 2)
            except OSError as failed:
                error = failed
            else:
                others = addresses[:position] + addresses[position + 1 :]
                self._addresses = [(family, address), *others]
                return sock
        raise error

    def secure(self, sock: socket.socket) -> socket.socket:
        """Start TLS. Raises OSError (``ssl.SSLError`` is one)."""
        context = self.prepare_tls()
        return context.wrap_socket(sock, server_hostname=self.target.host)

    def prepare_tls(self) -> ssl.SSLContext:
        """Read the certificates, once. Raises OSError."""
        if self._context is None:
            self._context = _tls_context(self._ca)
        return self._context


def _dial(family: int, address: tuple[object, ...], timeout: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _endpoint(parts: SplitResult) -> Endpoint:
    port = parts.port or PORTS.get(parts.scheme, 80)
    return Endpoint(parts.hostname or "", port)


def _proxy(
    scheme: str, target: Endpoint, environ: Mapping[str, str]
) -> SplitResult | None:
    def variable(name: str) -> str:
        return environ.get(name) or environ.get(name.upper()) or ""

    address = variable(f"{scheme}_proxy") or variable("all_proxy")
    if not address or _bypassed(target, variable("no_proxy")):
        return None
    return urlsplit(address if "://" in address else f"http://{address}")


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


def _tls_context(ca: str | None) -> ssl.SSLContext:
    """
    Build a context that verifies the server.

    A hashed directory is searched lazily; reading a whole bundle costs a cold start
    30 to 40 ms.
    """
    import ssl  # 22 ms, not at import

    if ca:
        if os.path.isdir(ca):
            return ssl.create_default_context(capath=ca)
        return ssl.create_default_context(cafile=ca)
    paths = ssl.get_default_verify_paths()
    if "SSL_CERT_FILE" not in os.environ and _is_hashed(paths.capath):
        return ssl.create_default_context(capath=paths.capath)
    if paths.cafile is None and paths.capath is None:
        return ssl.create_default_context(cafile=_certifi())
    return ssl.create_default_context()


def _is_hashed(directory: str | None) -> bool:
    if directory is None:
        return False
    try:
        with os.scandir(directory) as entries:
            return any(entry.name.endswith(".0") for entry in entries)
    except OSError:
        return False


def _certifi() -> str | None:
    """Return UnleashClient's own bundle, for machines that have none."""
    try:
        import certifi  # only where the system has no bundle
    except ImportError:
        return None
    return certifi.where()
