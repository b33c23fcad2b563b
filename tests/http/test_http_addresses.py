"""A host with several addresses, and the order in which they are tried."""

from __future__ import annotations

import contextlib
import socket
import time
from types import SimpleNamespace

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._transport import connector as connector_module
from serverless_flags._transport import resolver as resolver_module


class TestAddresses:
    """A host with several addresses, and the order in which they are tried."""

    @pytest.fixture(name="resolve")
    def _resolve(self, monkeypatch):
        """Return the list of the resolver's addresses, which the test fills."""
        ports: list[int] = []
        asked: list[str] = []
        real = socket.getaddrinfo

        def getaddrinfo(host, _port, **options):
            asked.append(host)
            return [found for p in ports for found in real("127.0.0.1", p, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return ports, asked

    def test_the_next_address_is_tried(self, peer, http, closed_port, resolve) -> None:
        """Of two addresses a dead one costs a try, and only once."""
        server = peer(lambda conversation: conversation.serve(Connection="close"))
        ports, asked = resolve
        ports += [closed_port, server.port]
        session = http("http://flags.example")

        assert 200 == session.request("GET", "/", {}, timeout=20).status
        ports.remove(closed_port)
        assert 200 == session.request("GET", "/", {}, timeout=20).status
        assert ["flags.example"] == asked
        assert server.port == session._connector._resolver._addresses[0][1][1]

    def test_a_silent_address_leaves_time_for_the_next(
        self, peer, http, resolve
    ) -> None:
        """No address but the last one may use up the whole deadline."""
        server = peer()
        ports, _ = resolve
        with contextlib.ExitStack() as stack:
            full = stack.enter_context(
                socket.create_server(("127.0.0.1", 0), backlog=0)
            )
            for _ in range(4):  # no server accepts: further connections hang
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            ports += [full.getsockname()[1], server.port]
            reply = http("http://flags.example").request("GET", "/", {}, timeout=1)

        assert 200 == reply.status

    def test_an_unsupported_address_family_is_skipped(
        self, peer, http, monkeypatch
    ) -> None:
        """A system without IPv6 cannot even make the socket; IPv4 is used."""
        server = peer()

        def make(family, kind):
            if family == socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            return socket.socket(family, kind)

        found = [
            (socket.AF_INET6, 1, 6, "", ("::1", server.port, 0, 0)),
            (socket.AF_INET, 1, 6, "", ("127.0.0.1", server.port)),
        ]
        without_ipv6 = {**vars(socket), "socket": make}
        without_ipv6["getaddrinfo"] = lambda *_, **__: found
        without = SimpleNamespace(**without_ipv6)
        monkeypatch.setattr(connector_module, "socket", without)
        monkeypatch.setattr(resolver_module, "socket", without)

        assert (
            200
            == http("http://flags.example").request("GET", "/", {}, timeout=20).status
        )

    def test_a_server_that_moved_is_found_again(self, peer, http, resolve) -> None:
        """When a known address fails, the host is resolved again."""
        old, new = peer(lambda c: (c.read(), c.answer(Connection="close"))), peer()
        ports, asked = resolve
        ports.append(old.port)
        session = http("http://flags.example")
        session.request("GET", "/", {}, timeout=20)
        old.stop()
        ports[:] = [new.port]

        assert 200 == session.request("GET", "/", {}, timeout=20).status
        assert 2 == len(asked)

    def test_after_the_deadline_the_host_is_not_resolved(
        self, peer, http, resolve
    ) -> None:
        """The resolver has no deadline, so it is not called at the end of a process."""
        server = peer(lambda conversation: conversation.serve(Connection="close"))
        ports, asked = resolve
        ports.append(server.port)
        session = http("http://flags.example")
        session.request("GET", "/", {}, timeout=20)
        server.stop()

        assert (
            Outcome.NOT_DELIVERED is session.request("GET", "/", {}, timeout=-1).outcome
        )
        assert 1 == len(asked)

    def test_an_ipv6_server_is_reached(self, peer, get) -> None:
        """An address in brackets is a host like any other."""
        server = peer(family=socket.AF_INET6)
        reply = get(server.url)

        assert 200 == reply.status
        assert f"[::1]:{server.port}" == server.requests[0].headers["host"]

    def test_an_interrupted_connect_leaves_no_socket(self, monkeypatch) -> None:
        """Not even a KeyboardInterrupt leaks a file descriptor."""
        made = []

        class Interrupted(socket.socket):
            def connect(self, _address) -> None:
                made.append(self)
                raise KeyboardInterrupt

        interrupted = SimpleNamespace(**{**vars(socket), "socket": Interrupted})
        monkeypatch.setattr(connector_module, "socket", interrupted)
        connector = connector_module.Connector("http://127.0.0.1:9", {})
        with pytest.raises(KeyboardInterrupt):
            connector.connect(time.monotonic() + 20)

        assert -1 == made[0].fileno()
