"""Open connections to a server or its proxy, and provide the TLS context."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serverless_flags._transport.resolver import Endpoint, Resolver, TransportError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from serverless_flags._transport.proxy import Proxy
    from serverless_flags._transport.resolver import Address


class Connector:
    """Connects to one URL's server, directly or through a proxy of the environment."""

    def __init__(self, url: str, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        parts = urlsplit(url)
        self.tls = parts.scheme == "https"
        port = parts.port or (443 if self.tls else 80)
        self.target = Endpoint(parts.hostname or "", port)
        self.host_header = parts.netloc
        self.path = parts.path
        self.proxy: Proxy | None = None
        self._fault: str | None = None
        """Why no connection can be opened at all."""
        try:
            self.proxy = _proxy(parts.scheme, self.target, environ)
        except TransportError as error:
            self._fault = str(error)
        self.uses_tls = self.tls or (self.proxy is not None and self.proxy.tls)
        """Whether the connection to the server or the proxy uses TLS."""
        peer = self.target if self.proxy is None else self.proxy.endpoint
        self._resolver = Resolver(peer)
        self._ca = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
        self._context: ssl.SSLContext | None = None

    def resolve_here(self) -> bool:
        """Resolve the host on this thread, without a deadline; return success."""
        return self._fault is None and self._resolver.resolve_here()

    def forget(self) -> None:
        """Resolve the host again before the next connection, after a failed request."""
        self._resolver.forget()

    def connect(self, deadline: float, *, exiting: bool = False) -> socket.socket:
        """
        Open a TCP connection to the server or its proxy.

        Args:
            deadline: on the monotonic clock.
            exiting: whether the interpreter exits; then only addresses that are already
                known are used.

        Raises:
            OSError: when no connection succeeds before the deadline.
        """
        if self._fault is not None:
            raise TransportError(self._fault)
        if time.monotonic() >= deadline:
            message = "the deadline passed"
            raise TimeoutError(message)
        resolver = self._resolver
        fresh = resolver.fresh
        addresses = resolver.addresses(deadline, exiting=exiting)
        try:
            return self._connect_to(addresses, deadline)
        except OSError:
            resolver.forget()
            if exiting or not fresh or time.monotonic() >= deadline:
                raise
            moved = resolver.addresses(deadline)
            if set(moved) <= set(addresses):
                raise
        return self._connect_to(moved, deadline)

    def _connect_to(self, addresses: list[Address], deadline: float) -> socket.socket:
        """Connect to the first address that answers, and prefer it from now on."""
        failure: OSError | None = None
        for position, (family, address) in enumerate(addresses):
            left = max(deadline - time.monotonic(), 0.001)
            last = position == len(addresses) - 1
            try:
                sock = _open(family, address, left if last else left / 2)
            except OSError as error:
                failure = error
            else:
                self._resolver.prefer((family, address))
                return sock
        assert failure is not None  # noqa: S101  reason: there is at least one address
        raise failure

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS context; reads certificates once. Raises OSError."""
        if self._context is None:
            # late: 22 ms
            from serverless_flags._transport.tls import new_context

            self._context = new_context(self._ca)
        return self._context


def _open(family: int, address: tuple[object, ...], timeout: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _proxy(scheme: str, target: Endpoint, environ: Mapping[str, str]) -> Proxy | None:
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    variable = next((name for name in names if environ.get(name)), None)
    if variable is None:
        return None
    from serverless_flags._transport.proxy import read_proxy  # only with a proxy

    return read_proxy(variable, target, environ)
