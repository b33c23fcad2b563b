"""The addresses of one endpoint, without a connection."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from serverless_flags._transport.resolver import Endpoint, Resolver, TransportError


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_ip_address_is_not_resolved(monkeypatch, host) -> None:
    """Not even at exit, so loopback and IP addresses always work."""
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: asked.append(1))
    addresses = Resolver(Endpoint(host, 80)).addresses(0, exiting=True)

    assert [host] == [address[0] for _, address in addresses]
    assert [] == asked


def test_a_late_look_up_serves_the_next_request(monkeypatch) -> None:
    """No request waits for it, but its result is kept."""
    proceed = threading.Event()
    found = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 9))]

    def late(*_args, **_options):
        assert proceed.wait(20)
        return found

    monkeypatch.setattr(socket, "getaddrinfo", late)
    resolver = Resolver(Endpoint("flags.example", 9))
    with pytest.raises(TransportError, match="not resolved in time"):
        resolver.addresses(time.monotonic())
    proceed.set()

    addresses = resolver.addresses(time.monotonic() + 20)
    assert [(socket.AF_INET, ("127.0.0.1", 9))] == addresses


def test_a_preferred_address_that_is_gone_is_not_added() -> None:
    """After a newer look-up, preferring an old address changes nothing."""
    resolver = Resolver(Endpoint("127.0.0.1", 9))
    resolver.prefer((socket.AF_INET, ("127.0.0.2", 9)))

    assert [(socket.AF_INET, ("127.0.0.1", 9))] == resolver.addresses(0)
