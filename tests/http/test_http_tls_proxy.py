"""Proxies that are contacted over TLS, and unsupported proxies."""

from __future__ import annotations

import base64
import logging
import ssl

import pytest
import trustme

from serverless_flags._protocols import Outcome
from serverless_flags._transport.connector import Connector
from serverless_flags._transport.http import HttpClient
from serverless_flags._transport.preconnect import Preconnect

TOKEN = {"Authorization": "default:development.secret"}
SECRET = base64.b64encode(b"me:s3cret").decode()


def connects_to(port):
    """Return the script of a proxy that connects to a port on loopback."""

    def script(conversation):
        conversation.read()
        conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        conversation.relay(port)

    return script


@pytest.fixture(name="environ")
def _environ(bundle):
    def environ(proxy, **more):
        address = proxy.url.replace("//", "//me:s3cret@")
        proxies = {"https_proxy": address, "http_proxy": address}
        return {**proxies, "REQUESTS_CA_BUNDLE": bundle, **more}

    return environ


def test_an_https_server_is_reached_through_two_layers_of_tls(
    peer, http, tls, environ
) -> None:
    """The proxy gets its credentials over TLS, and never the token."""
    server = peer(lambda conversation: conversation.serve(200, b"x" * 300_000), tls=tls)
    proxy = peer(connects_to(server.port), tls=tls)
    session = http(f"https://localhost:{server.port}/api", environ(proxy))
    replies = [session.request("GET", "/x", TOKEN, timeout=20) for _ in range(2)]
    connect = proxy.requests[0]

    assert [300_000] * 2 == [len(reply.body) for reply in replies]
    assert ("CONNECT", f"localhost:{server.port}") == connect[:2]
    assert f"Basic {SECRET}" == connect.headers["proxy-authorization"]
    assert "authorization" not in connect.headers
    assert TOKEN["Authorization"] == server.requests[0].headers["authorization"]
    assert (1, 1) == (proxy.connections, server.connections)


def test_an_http_server_is_asked_for_through_tls(peer, http, tls, environ) -> None:
    """The proxy gets the whole url, over TLS."""
    proxy = peer(tls=tls)
    url = "http://flags.example:4242/api"
    reply = http(url, environ(proxy)).request("GET", "/x", TOKEN, timeout=20)
    request = proxy.requests[0]

    assert 200 == reply.status
    assert "http://flags.example:4242/api/x" == request.target
    assert f"Basic {SECRET}" == request.headers["proxy-authorization"]


def test_the_first_connection_may_be_opened_in_advance(peer, tls, environ) -> None:
    """Its certificates are read meanwhile."""
    server = peer(tls=tls)
    proxy = peer(connects_to(server.port), tls=tls)
    connector = Connector(f"https://localhost:{server.port}", environ(proxy))
    session = HttpClient(connector, Preconnect(connector, 20))
    reply = session.request("GET", "/x", {}, timeout=20)
    session.close()

    assert 200 == reply.status
    assert 1 == proxy.connections


@pytest.mark.parametrize("url", ["https://flags.example", "http://flags.example"])
def test_a_proxy_that_is_not_trusted_gets_nothing(
    peer, http, tls, environ, tmp_path, url
) -> None:
    """Neither credentials nor the host of the server."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    proxy = peer(tls=tls)
    environ = environ(proxy, REQUESTS_CA_BUNDLE=str(other))
    reply = http(url, environ).request("GET", "/x", TOKEN, timeout=20)

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "CERTIFICATE_VERIFY_FAILED" in reply.error
    assert [] == proxy.requests


def test_a_server_behind_the_proxy_must_prove_its_name(
    peer, http, tls, environ, authority
) -> None:
    """The proxy's certificate is not valid for the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("another.example").configure_cert(context)
    server = peer(tls=context)
    proxy = peer(connects_to(server.port), tls=tls)
    session = http(f"https://localhost:{server.port}", environ(proxy))
    reply = session.request("GET", "/x", TOKEN, timeout=20)

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert [] == server.requests


def test_extra_bytes_of_a_proxy_are_an_error(peer, http, tls, environ) -> None:
    """Only the server's bytes may follow the answer of the proxy."""
    proxy = peer(
        lambda conversation: (
            conversation.read(),
            conversation.send(b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03"),
        ),
        tls=tls,
    )
    reply = http("https://flags.example", environ(proxy)).request(
        "GET", "/x", TOKEN, timeout=20
    )

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert "the proxy sent data after its answer" in reply.error


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("https://flags.example", "add its user and password to https_proxy"),
        ("http://flags.example", None),
    ],
)
def test_a_proxy_that_requires_credentials(peer, http, environ, url, cure) -> None:
    """For a tunnel the message names the variable; for http it is an answer."""
    proxy = peer(lambda conversation: (conversation.read(), conversation.answer(407)))
    reply = http(url, environ(proxy)).request("GET", "/x", TOKEN, timeout=20)

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert cure in reply.error if cure else 407 == reply.status


@pytest.mark.parametrize(
    ("variable", "scheme", "named"),
    [
        ("https_proxy", "socks5", "a socks5:// proxy"),
        ("HTTPS_PROXY", "socks5h", "a socks5h:// proxy"),
        ("all_proxy", "socks4a", "a socks4a:// proxy"),
        ("ALL_PROXY", "s3cret", "another kind of proxy"),
    ],
)
def test_another_kind_of_proxy_is_rejected(peer, http, variable, scheme, named) -> None:
    """Before a byte is sent; the message names the variable and what is supported."""
    proxy = peer()
    address = f"{scheme}://me:s3cret@127.0.0.1:{proxy.port}"
    session = http("https://flags.example", {variable: address})
    reply = session.request("GET", "/x", TOKEN, timeout=20)

    assert (Outcome.NOT_DELIVERED, 0) == (reply.outcome, proxy.connections)
    assert reply.error.startswith(f"{variable} names {named}")
    assert "http:// and https://" in reply.error
    assert "s3cret" not in reply.error


@pytest.mark.parametrize(
    "address",
    [
        "http://proxy:s3cret",
        "proxy:s3cret",
        "http://me:s3cret@",
        "http://me:s3cret@proxy:port",
        "http://me:s3cret@proxy:0",
        "http://me:s3/cret@proxy:3128",
        "http://me:s3cret@proxy:99999",
        "http://[s3cret",
        "http://",
        "me:s3cret@",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_malformed_proxy_is_never_quoted(http, caplog, address, scheme) -> None:
    """In a malformed url any part may belong to the password."""
    caplog.set_level(logging.DEBUG)
    connector = Connector(f"{scheme}://flags.example", {f"{scheme}_proxy": address})
    session = HttpClient(connector, Preconnect(connector, 20))
    reply = session.request("GET", "/x", TOKEN, timeout=20)

    assert Outcome.NOT_DELIVERED is reply.outcome
    assert reply.error.startswith(f"{scheme}_proxy is not the url of a proxy")
    assert "s3" not in reply.error + caplog.text


def test_a_malformed_proxy_that_is_not_used_is_ignored(peer, http) -> None:
    """A server in ``no_proxy`` is contacted directly."""
    server = peer()
    environ = {"http_proxy": "socks5://proxy", "no_proxy": "127.0.0.1"}

    assert 200 == http(server.url, environ).request("GET", "/", {}, timeout=20).status


def test_credentials_in_any_script_can_be_sent(peer, http) -> None:
    """Characters outside Latin-1 are sent in UTF-8."""
    proxy = peer()
    address = proxy.url.replace("//", "//me:%D0%BA%D0%BB%D1%8E%D1%87@")
    reply = http("http://flags.example", {"http_proxy": address}).request(
        "GET", "/x", {}, timeout=20
    )
    expected = base64.b64encode("me:ключ".encode()).decode()

    assert 200 == reply.status
    assert f"Basic {expected}" == proxy.requests[0].headers["proxy-authorization"]
