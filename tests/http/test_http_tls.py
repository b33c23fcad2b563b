"""HTTPS: what is trusted, where from, and that nothing is sent to anybody else."""

from __future__ import annotations

import hashlib
import ssl
import sys
import time
from types import SimpleNamespace

import pytest
import trustme
from cryptography import x509

from serverless_flags._protocols import Outcome
from serverless_flags._transport import tls as tls_module

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def hashed_name(certificate: bytes) -> str:
    """Return the name by which OpenSSL looks a certificate up in a directory."""
    subject = x509.load_pem_x509_certificate(certificate).subject
    canonical = x509.Name(
        [
            x509.NameAttribute(part.oid, " ".join(str(part.value).lower().split()))
            for part in subject
        ]
    )
    content = canonical.public_bytes()[2:]  # without the head of the sequence
    digest = hashlib.sha1(content).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}.0"


@pytest.fixture(name="directory")
def _directory(authority, tmp_path):
    """Return a directory of certificates as ``openssl rehash`` leaves it."""
    certificate = authority.cert_pem.bytes()
    directory = tmp_path / "certs"
    directory.mkdir()
    (directory / hashed_name(certificate)).write_bytes(certificate)
    return str(directory)


@pytest.fixture(name="server")
def _server(peer, tls):
    return peer(tls=tls)


@pytest.fixture(autouse=True)
def _environ(monkeypatch):
    """Keep the machine's own choice of certificates out of the tests."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_bundle_of_the_environment_is_trusted(server, get, bundle, variable) -> None:
    """A file of certificates, named as ``requests`` and curl read it."""
    assert 200 == get(server.url, {variable: bundle}).status


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_directory_of_the_environment_is_trusted(
    server, get, directory, variable
) -> None:
    """A hashed directory does as well."""
    assert 200 == get(server.url, {variable: directory}).status


def test_the_first_bundle_wins(server, get, bundle) -> None:
    """``REQUESTS_CA_BUNDLE`` comes before ``CURL_CA_BUNDLE``, as in ``requests``."""
    environ = {"REQUESTS_CA_BUNDLE": bundle, "CURL_CA_BUNDLE": "/nowhere"}

    assert 200 == get(server.url, environ).status


def test_a_bundle_that_is_not_there_sends_nothing(server, get, tmp_path) -> None:
    """A wrong path is refused with a word that says so; nothing else is trusted."""
    missing = str(tmp_path / "missing.pem")
    reply = get(server.url, {"REQUESTS_CA_BUNDLE": missing})

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "FileNotFoundError" in reply.error
    assert [] == server.requests


def test_an_untrusted_server_gets_nothing(server, http, tmp_path) -> None:
    """A certificate of another authority ends it before the token is sent."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    session = http(server.url, {"REQUESTS_CA_BUNDLE": str(other)})
    reply = session.request("POST", "/", {"Authorization": "t"}, b"x", timeout=20)

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "CERTIFICATE_VERIFY_FAILED" in reply.error
    assert [] == server.requests


def test_the_certificate_must_name_the_host(peer, get, authority, bundle) -> None:
    """A good certificate of another host is no good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("flags.example").configure_cert(context)
    server = peer(tls=context)
    reply = get(server.url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert [] == server.requests


def test_a_server_without_tls_gets_nothing(peer, get, bundle) -> None:
    """An https URL is never answered in plain text."""
    server = peer(lambda conversation: conversation.send(b"220 smtp.example\r\n"))
    url = server.url.replace("http:", "https:")
    reply = get(url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert [] == server.requests


def test_a_handshake_that_hangs_is_left(peer, get, bundle) -> None:
    """The deadline holds for the handshake too, and nothing was sent."""
    server = peer(lambda conversation: conversation.wait_until_left())
    url = server.url.replace("http:", "https:")
    began = time.monotonic()
    reply = get(url, {"REQUESTS_CA_BUNDLE": bundle}, timeout=0.3)

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("how", ["end_tls", "shut", "close"])
def test_a_body_without_length_ends_with_the_connection(peer, get, tls, bundle, how):
    """Whether the server says so or just leaves; most just leave."""
    body = b"x" * 100_000

    def script(conversation):
        conversation.read()
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        getattr(conversation, how)()

    server = peer(script, tls=tls)
    reply = get(server.url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (200, body, None) == (reply.status, reply.body, reply.error)


def test_a_server_that_leaves_during_the_handshake_got_nothing(peer, get, bundle):
    """The request is refused, and says what happened."""
    server = peer(lambda conversation: conversation.close())
    url = server.url.replace("http:", "https:")
    reply = get(url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "(while connecting)" in reply.error


def test_a_get_over_a_connection_that_was_closed_is_asked_again(
    peer, http, tls, bundle
) -> None:
    """A close that crosses the request, though TLS announces it, is no answer."""

    def script(conversation):
        conversation.read()
        conversation.answer()
        conversation.read()
        conversation.end_tls()

    server = peer(script, lambda conversation: conversation.serve(), tls=tls)
    session = http(server.url, {"REQUESTS_CA_BUNDLE": bundle})
    replies = [session.request("GET", "/", {}, timeout=20) for _ in range(2)]

    assert [200, 200] == [reply.status for reply in replies]
    assert 2 == server.connections


def test_a_connection_over_tls_is_kept(server, http, bundle) -> None:
    """The handshake is paid once; session tickets are no sign of a close."""
    session = http(server.url, {"REQUESTS_CA_BUNDLE": bundle})
    replies = [session.request("GET", "/", {}, timeout=20) for _ in range(3)]

    assert [200] * 3 == [reply.status for reply in replies]
    assert 1 == server.connections


def test_certificates_are_read_once(server, http, bundle, monkeypatch) -> None:
    """A second connection does not read the bundle again."""
    read = []
    real = tls_module.new_context
    monkeypatch.setattr(
        tls_module, "new_context", lambda ca: (read.append(ca), real(ca))[1]
    )
    session = http(server.url, {"REQUESTS_CA_BUNDLE": bundle})
    for _ in range(2):
        session.request("GET", "/", {}, timeout=20)
        session.close()

    assert [bundle] == read
    assert 2 == server.connections


class TestTheSystemsCertificates:
    """Where no variable of ``requests`` names a bundle."""

    @pytest.fixture(name="paths")
    def _paths(self, monkeypatch):
        """Return what chooses where OpenSSL says that the system's bundle is."""

        def choose(cafile, capath):
            paths = SimpleNamespace(cafile=cafile, capath=capath)
            monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)

        return choose

    def test_a_file_of_openssl_is_trusted(
        self, server, get, bundle, monkeypatch
    ) -> None:
        """``SSL_CERT_FILE`` is OpenSSL's own variable."""
        monkeypatch.setenv("SSL_CERT_FILE", bundle)

        assert 200 == get(server.url).status

    def test_a_directory_of_openssl_is_trusted(
        self, server, get, directory, monkeypatch
    ) -> None:
        """``SSL_CERT_DIR`` too; hashed, it is searched and never read whole."""
        monkeypatch.setenv("SSL_CERT_DIR", directory)

        assert 200 == get(server.url).status

    def test_the_systems_bundle_is_verified_against(self, server, get, paths) -> None:
        """Nothing of ours is in it, so our server is not trusted."""
        for capath in (None, "/no/such/directory", "."):
            paths("there.pem", capath)
            reply = get(server.url)

            assert "CERTIFICATE_VERIFY_FAILED" in reply.error
        assert [] == server.requests

    def test_a_machine_without_a_bundle_uses_certifi(
        self, server, get, paths, bundle, monkeypatch
    ) -> None:
        """UnleashClient brings certifi along, for containers that have nothing."""
        import certifi

        paths(None, None)
        monkeypatch.setattr(certifi, "where", lambda: bundle)

        assert 200 == get(server.url).status

    def test_a_machine_without_anything_trusts_nobody(
        self, server, get, paths, monkeypatch
    ) -> None:
        """Without certifi either, no server is trusted."""
        paths(None, None)
        monkeypatch.setitem(sys.modules, "certifi", None)
        reply = get(server.url)

        assert Outcome.NOT_DELIVERED is reply.outcome
        assert [] == server.requests
