"""Resolve one host, with a deadline; addresses are used for at most a minute."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

from serverless_flags._transport.shared_call import SharedCall
from serverless_flags.exceptions import ServerlessFlagsError

FRESH_FOR = 60.0
"""Seconds for which resolved addresses are used without resolving the host again."""

Address = tuple[int, tuple[object, ...]]
"""An address family and a socket address."""


class TransportError(ServerlessFlagsError, OSError):
    """
    Raised when a request cannot be made; its message never quotes a peer.

    Its ``__cause__``, if it has one, gives the details.
    """


class Endpoint(NamedTuple):
    """A host and its port."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as a ``CONNECT`` request has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Resolver:
    """
    The addresses of one endpoint.

    `socket.getaddrinfo` has no deadline, so it runs on a background thread, and each
    request waits for it only until its own deadline. The host is resolved again after
    `FRESH_FOR` seconds by either clock, and after any failed request, because it may
    have moved. If that fails, the old addresses are used as a last resort.
    """

    def __init__(self, peer: Endpoint) -> None:
        self._peer = peer
        self._addresses = _numeric(peer)
        self._numeric = bool(self._addresses)
        self._resolved: tuple[float, float] | None = None
        """When the host was resolved, on both clocks; None: resolve it again."""
        self._lookup = SharedCall(self._look_up)

    @property
    def fresh(self) -> bool:
        """Whether the addresses may be used without resolving the host again."""
        if self._numeric:
            return True
        resolved = self._resolved
        if resolved is None:
            return False
        age = max(time.monotonic() - resolved[0], time.time() - resolved[1])
        return age <= FRESH_FOR

    def forget(self) -> None:
        """Resolve the host again before the next connection is opened."""
        self._resolved = None

    def resolve_here(self) -> bool:
        """Resolve the host on this thread, without a deadline; return success."""
        if not self.fresh:
            self._lookup.run_here()
        return self.fresh

    def addresses(self, deadline: float, *, exiting: bool = False) -> list[Address]:
        """
        Return the addresses, in the order in which to try them.

        Args:
            deadline: on the monotonic clock.
            exiting: whether the interpreter exits, so that no thread can be started;
                then addresses that are already known are used.

        Raises:
            TransportError: when no address is known before the deadline.
        """
        known = self._addresses
        if known and (exiting or self.fresh):
            return known
        until = deadline
        if known:  # leave time to connect to the old addresses
            until -= max(0.0, deadline - time.monotonic()) / 2
        call = self._lookup.wait(until, may_start=not exiting)
        if call is not None and call.error is None:
            return self._addresses
        if known:
            return known
        if call is not None:
            message = "the name could not be resolved"
            raise TransportError(message) from call.error
        when = "before the interpreter's exit" if exiting else "in time"
        message = f"the name was not resolved {when}"
        raise TransportError(message)

    def prefer(self, address: Address) -> None:
        """Try this address first from now on."""
        known = self._addresses
        if address in known[1:]:
            others = [other for other in known if other != address]
            self._addresses = [address, *others]

    def _look_up(self) -> None:
        peer, began = self._peer, (time.monotonic(), time.time())
        found = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
        if not found:
            message = "the host has no address"
            raise TransportError(message)
        self._addresses = [(item[0], item[4]) for item in found]
        self._resolved = began


def _numeric(peer: Endpoint) -> list[Address]:
    """Return the address of a host that is an IP address; else an empty list."""
    try:
        if ":" in peer.host:
            socket.inet_pton(socket.AF_INET6, peer.host)
            return [(socket.AF_INET6, (peer.host, peer.port, 0, 0))]
        socket.inet_pton(socket.AF_INET, peer.host)
    except (OSError, ValueError):
        return []
    return [(socket.AF_INET, (peer.host, peer.port))]
