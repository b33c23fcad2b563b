"""TLS over any layer of a connection, and the trusted certificates."""

from __future__ import annotations

import contextlib
import os
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Protocol

    class Layer(Protocol):
        """One layer of a connection: a socket, or TLS over another layer."""

        def receive(self, buffer: Any) -> int | None:
            """Fill ``buffer``; return how many bytes: 0 at the end, None: no data."""

        def send(self, data: bytes) -> None:
            """Send all of ``data``."""


_PIECE = 65536


class TlsLayer:
    """
    TLS over a socket, or over the TLS of a proxy.

    OpenSSL does not read from the socket itself, because it would read as long as a
    peer sends records without data. Here the socket's limits apply to every byte.

    Args:
        lower: the layer that carries the encrypted bytes.
        context: the TLS settings and trusted certificates.
        host: the name that the peer's certificate must have.
    """

    def __init__(self, lower: Layer, context: ssl.SSLContext, host: str) -> None:
        self._lower = lower
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._piece = memoryview(bytearray(_PIECE))
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_hostname=host)
        self._handshake()

    def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._fetch()
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # send the alert, if possible
                    self._flush()
                raise
            else:
                self._flush()
                return

    def receive(self, buffer: Any) -> int | None:
        """Fill ``buffer`` with decrypted bytes; see `Layer`."""
        while True:
            try:
                received: Any = self._tls.read(len(buffer), buffer)
            except ssl.SSLWantReadError:
                if self._fetch() is None:
                    return None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0
            else:
                return int(received)

    def send(self, data: bytes) -> None:
        """Encrypt and send all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        self._flush()

    def _fetch(self) -> int | None:
        """Send pending records, then receive from the peer, who may wait for them."""
        self._flush()
        received = self._lower.receive(self._piece)
        if received == 0:
            self._arrived.write_eof()
        elif received is not None:
            self._arrived.write(self._piece[:received])
        return received

    def _flush(self) -> None:
        if self._leaving.pending:
            self._lower.send(self._leaving.read())


def new_context(ca: str | None) -> ssl.SSLContext:
    """
    Build a context that verifies the peer.

    Prefers a hashed directory, which OpenSSL searches on demand; reading a whole bundle
    costs a cold start 30 to 40 ms.

    Args:
        ca: a file or directory of certificates from the environment, if given.
    """
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
    """Return the bundle that UnleashClient installs, for systems that have none."""
    try:
        import certifi  # only if the system has no bundle
    except ImportError:
        return None
    return certifi.where()
