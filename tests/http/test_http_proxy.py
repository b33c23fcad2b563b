"""Proxies, as the environment names them."""

from __future__ import annotations

import base64
import time

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._version import __version__

TOKEN = {"Authorization": "default:development.secret"}


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode("latin-1")).decode()


@pytest.fixture(name="ask")
def _ask(http):
    def ask(url, environ, timeout=20):
        return http(url, environ).request("GET", "/x", TOKEN, timeout=timeout)

    return ask


@pytest.mark.parametrize(
    "variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
)
def test_plain_http_asks_the_proxy_for_the_whole_url(peer, ask, variable) -> None:
    """The proxy resolves the server's host; it is not resolved here."""
    proxy = peer()
    reply = ask("http://flags.example:4242/api", {variable: proxy.url})
    request = proxy.requests[0]

    assert 200 == reply.status
    assert "http://flags.example:4242/api/x" == request.target
    assert "flags.example:4242" == request.headers["host"]
    assert "proxy-authorization" not in request.headers


@pytest.mark.parametrize(
    ("credentials", "pair"),
    [
        ("me:secret", "me:secret"),
        ("me", "me:"),
        ("m%40e:s%3Acret%25", "m@e:s:cret%"),
        ("m%C3%A9:x", "m\xe9:x"),
    ],
)
def test_credentials_are_sent_to_the_proxy(peer, ask, credentials, pair) -> None:
    """Credentials in the proxy's URL become a header, percent-decoded."""
    proxy = peer()
    address = proxy.url.replace("//", f"//{credentials}@")
    reply = ask("http://flags.example/api", {"http_proxy": address})

    assert 200 == reply.status
    assert basic(pair) == proxy.requests[0].headers["proxy-authorization"]


def test_a_proxy_without_a_scheme(peer, ask) -> None:
    """``host:port`` is a common form."""
    proxy = peer()
    reply = ask("http://flags.example", {"http_proxy": f"127.0.0.1:{proxy.port}"})

    assert 200 == reply.status


def test_the_variable_of_the_scheme_wins(peer, ask, closed_port) -> None:
    """``http_proxy`` is preferred to ``all_proxy``, lower case to upper case."""
    proxy = peer()
    wrong = f"http://127.0.0.1:{closed_port}"
    environ = {"http_proxy": proxy.url, "HTTP_PROXY": wrong, "all_proxy": wrong}

    assert 200 == ask("http://flags.example", environ).status


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_connects_directly(peer, ask, closed_port, variable) -> None:
    """A server listed in ``no_proxy`` is contacted without a proxy."""
    server = peer()
    environ = {"http_proxy": f"http://127.0.0.1:{closed_port}", variable: "127.0.0.1"}

    assert 200 == ask(server.url, environ).status
    assert "/x" == server.requests[0].target


def test_a_proxy_that_is_down_sent_nothing(ask, closed_port) -> None:
    """There is no fallback to a direct connection."""
    reply = ask(
        "http://flags.example", {"http_proxy": f"http://127.0.0.1:{closed_port}"}
    )

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)


class TestTunnel:
    """An https URL is requested through a tunnel, unread by the proxy."""

    @pytest.fixture(name="server")
    def _server(self, peer, tls):
        return peer(tls=tls)

    @pytest.fixture(name="proxy")
    def _proxy(self, peer, server):
        def connect(conversation):
            conversation.read()
            conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            conversation.relay(server.port)

        return peer(connect)

    def test_the_server_answers_through_the_tunnel(
        self, server, proxy, ask, bundle
    ) -> None:
        """The proxy gets a host, a port and its own credentials, never the token."""
        url = f"https://localhost:{server.port}/api"
        address = proxy.url.replace("//", "//me:secret@")
        environ = {"https_proxy": address, "REQUESTS_CA_BUNDLE": bundle}
        reply = ask(url, environ)
        connect, request = proxy.requests[0], server.requests[0]

        assert 200 == reply.status
        assert ("CONNECT", f"localhost:{server.port}") == connect[:2]
        assert {
            "host": f"localhost:{server.port}",
            "user-agent": f"serverless-flags/{__version__}",
            "proxy-authorization": basic("me:secret"),
        } == connect.headers
        assert ("GET", "/api/x") == request[:2]
        assert TOKEN["Authorization"] == request.headers["authorization"]
        assert "proxy-authorization" not in request.headers

    def test_the_tunnel_is_kept(self, server, proxy, http, bundle) -> None:
        """One tunnel serves several requests."""
        environ = {"https_proxy": proxy.url, "REQUESTS_CA_BUNDLE": bundle}
        session = http(f"https://localhost:{server.port}", environ)
        replies = [session.request("GET", "/", {}, timeout=20) for _ in range(2)]

        assert [200, 200] == [reply.status for reply in replies]
        assert (1, 1) == (proxy.connections, server.connections)

    def test_bytes_for_the_proxy_are_not_the_request(
        self, server, proxy, http, bundle
    ) -> None:
        """A request that cannot be written is not delivered, despite the tunnel."""
        environ = {"https_proxy": proxy.url, "REQUESTS_CA_BUNDLE": bundle}
        session = http(f"https://localhost:{server.port}", environ)
        reply = session.request("POST", "/", {"X": "line\nbreak"}, b"", timeout=20)

        assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
        assert 1 == server.connections
        assert [] == server.requests

    def test_the_default_port_is_named(self, peer, ask) -> None:
        """``CONNECT`` always names a port, and brackets an IPv6 address."""
        proxy = peer(
            lambda conversation: (conversation.read(), conversation.answer(403))
        )
        for url in ("https://flags.example", "https://[2001:db8::1]"):
            ask(url, {"https_proxy": proxy.url})

        assert ["flags.example:443", "[2001:db8::1]:443"] == [
            request.target for request in proxy.requests
        ]

    @pytest.mark.parametrize("status", [302, 403, 407, 502])
    def test_a_proxy_that_refuses_sent_nothing(self, peer, ask, status) -> None:
        """The counts have not been sent, whatever the proxy answers."""
        proxy = peer(
            lambda conversation: (conversation.read(), conversation.answer(status))
        )
        reply = ask("https://flags.example", {"https_proxy": proxy.url})

        assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
        assert f"the proxy answered {status}" in reply.error

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"hello\r\n"])
    def test_a_proxy_that_breaks_off_sent_nothing(self, peer, ask, answer) -> None:
        """Nothing was sent, because the tunnel was not opened."""
        proxy = peer(
            lambda conversation: (conversation.read(), conversation.send(answer))
        )
        reply = ask("https://flags.example", {"https_proxy": proxy.url})

        assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)

    def test_a_silent_proxy_is_given_up(self, peer, ask) -> None:
        """The deadline applies to the proxy too."""
        proxy = peer(
            lambda conversation: (conversation.read(), conversation.wait_until_left())
        )
        began = time.monotonic()
        reply = ask("https://flags.example", {"https_proxy": proxy.url}, timeout=0.3)

        assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
        assert time.monotonic() - began < 5
        assert proxy.left.wait(20)
