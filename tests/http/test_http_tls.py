"""HTTPS: which certificates are trusted, and that no other server gets data."""

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
    """Return the name under which OpenSSL finds a certificate in a directory."""
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
    """Hide the system's own settings for certificates from the tests."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_bundle_of_the_environment_is_trusted(server, get, bundle, variable) -> None:
    """A file of certificates, in the variables of ``requests`` and curl."""
    assert 200 == get(server.url, {variable: bundle}).status


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_directory_of_the_environment_is_trusted(
    server, get, directory, variable
) -> None:
    """A hashed directory may be named too."""
    assert 200 == get(server.url, {variable: directory}).status


def test_the_first_bundle_wins(server, get, bundle) -> None:
    """``REQUESTS_CA_BUNDLE`` is preferred to ``CURL_CA_BUNDLE``, as in ``requests``."""
    environ = {"REQUESTS_CA_BUNDLE": bundle, "CURL_CA_BUNDLE": "/nowhere"}

    assert 200 == get(server.url, environ).status


def test_a_missing_bundle_sends_nothing(server, get, tmp_path) -> None:
    """A wrong path is an error, and no other certificates are used."""
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
    """A valid certificate for another host is rejected."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("flags.example").configure_cert(context)
    server = peer(tls=context)
    reply = get(server.url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert [] == server.requests


def test_a_server_without_tls_gets_nothing(peer, get, bundle) -> None:
    """Data for an https URL is never sent unencrypted."""
    server = peer(lambda conversation: conversation.send(b"220 smtp.example\r\n"))
    url = server.url.replace("http:", "https:")
    reply = get(url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert [] == server.requests


def test_a_handshake_that_hangs_is_given_up(peer, get, bundle) -> None:
    """The deadline applies to the handshake, and nothing was sent."""
    server = peer(lambda conversation: conversation.wait_until_left())
    url = server.url.replace("http:", "https:")
    began = time.monotonic()
    reply = get(url, {"REQUESTS_CA_BUNDLE": bundle}, timeout=0.3)

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("how", ["end_tls", "shut", "close"])
def test_a_body_without_length_ends_with_the_connection(peer, get, tls, bundle, how):
    """Whether the server sends close_notify or not; most do not."""
    body = b"x" * 100_000

    def script(conversation):
        conversation.read()
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        getattr(conversation, how)()

    server = peer(script, tls=tls)
    reply = get(server.url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (200, body, None) == (reply.status, reply.body, reply.error)


def test_a_server_that_leaves_during_the_handshake_got_nothing(peer, get, bundle):
    """The request is not delivered, and the error says what happened."""
    server = peer(lambda conversation: conversation.close())
    url = server.url.replace("http:", "https:")
    reply = get(url, {"REQUESTS_CA_BUNDLE": bundle})

    assert (Outcome.NOT_DELIVERED, None) == (reply.outcome, reply.status)
    assert "(while connecting)" in reply.error


def test_a_get_over_a_closed_connection_is_sent_again(peer, http, tls, bundle) -> None:
    """A TLS close_notify that arrives meanwhile is not an answer."""

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
    """The handshake is made once; session tickets do not look like a close."""
    session = http(server.url, {"REQUESTS_CA_BUNDLE": bundle})
    replies = [session.request("GET", "/", {}, timeout=20) for _ in range(3)]

    assert [200] * 3 == [reply.status for reply in replies]
    assert 1 == server.connections


def test_certificates_are_read_once(server, http, bundle, monkeypatch) -> None:
    """A second connection does not read the certificates again."""
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
    """The system's certificates are used if no variable of ``requests`` is set."""

    @pytest.fixture(name="paths")
    def _paths(self, monkeypatch):
        """Return a function that sets where OpenSSL looks for the system's bundle."""

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
        """``SSL_CERT_DIR`` too; a hashed directory is searched, not read whole."""
        monkeypatch.setenv("SSL_CERT_DIR", directory)

        assert 200 == get(server.url).status

    def test_the_systems_bundle_is_used(self, server, get, paths) -> None:
        """It does not contain the test's authority, so the server is rejected."""
        for capath in (None, "/no/such/directory", "."):
            paths("there.pem", capath)
            reply = get(server.url)

            assert "CERTIFICATE_VERIFY_FAILED" in reply.error
        assert [] == server.requests

    def test_a_machine_without_a_bundle_uses_certifi(
        self, server, get, paths, bundle, monkeypatch
    ) -> None:
        """UnleashClient installs certifi, for containers without a bundle."""
        import certifi

        paths(None, None)
        monkeypatch.setattr(certifi, "where", lambda: bundle)

        assert 200 == get(server.url).status

    def test_without_any_bundle_no_server_is_trusted(
        self, server, get, paths, monkeypatch
    ) -> None:
        """As in a container without certifi."""
        paths(None, None)
        monkeypatch.setitem(sys.modules, "certifi", None)
        reply = get(server.url)

        assert Outcome.NOT_DELIVERED is reply.outcome
        assert [] == server.requests
