"""A server on loopback whose connections follow scripts of the test."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme

from serverless_flags._transport.connector import Connector
from serverless_flags._transport.http import HttpClient

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

PATIENCE = 20.0
"""Seconds after which a test that hangs is given up; never a measure of anything."""


class Request(NamedTuple):
    """A request as it was received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Conversation:
    """One connection of a `Peer`: received requests, and what the script sends."""

    def __init__(self, peer: Peer, sock: socket.socket, number: int) -> None:
        self.number = number
        self._peer = peer
        self._socket = sock
        self._file = sock.makefile("rb")

    def read(self) -> Request:
        """Read one whole request and record it; EOFError when there is none."""
        line = self._file.readline().decode("latin-1").split()
        if not line:
            raise EOFError
        headers = {}
        while (header := self._file.readline().decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", 0)))
        request = Request(line[0], line[1], headers, body, self.number)
        self._peer.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        """Send bytes unchanged."""
        self._socket.sendall(data)

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Send a whole response; header names are written with underscores."""
        self.send(response(status, body, **headers))

    def serve(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Answer requests until the client closes the connection."""
        while True:
            self.read()
            self.answer(status, body, **headers)

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def shut(self) -> None:
        """Close the sending side of the connection."""
        self._socket.shutdown(socket.SHUT_WR)

    def wait_until_left(self) -> None:
        """Wait until the client has closed its side."""
        while self._file.read1(65536):
            pass

    def end_tls(self) -> None:
        """Send the close_notify alert of TLS."""
        with contextlib.suppress(OSError):  # the client sends no alert in return
            self._socket.unwrap()

    def quiet(self, seconds: float) -> bool:
        """Whether nothing arrives for this number of seconds."""
        return not select.select([self._socket], [], [], seconds)[0]

    def secure(self, context: ssl.SSLContext) -> None:
        """Start TLS on the connection."""
        self._socket.settimeout(PATIENCE)
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self._file = self._socket.makefile("rb")

    def relay(self, port: int) -> None:
        """Relay bytes both ways between the client and a port, as a proxy does."""
        with socket.create_connection(("127.0.0.1", port)) as other:
            _relay(self._socket, other)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def response(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of a response with a Content-Length."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Relay on one thread, as two cannot share a TLS socket."""
    while True:
        pending = [one] if getattr(one, "pending", int)() else []
        readable = pending or select.select([one, other], [], [], PATIENCE)[0]
        for source in readable:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


class Peer:
    """
    A server whose connections follow scripts.

    Args:
        scripts: one for each connection in order; the last one for all later ones.
        tls: the TLS context of the server, if it uses TLS.
    """

    def __init__(
        self,
        *scripts: Callable[[Conversation], None],
        tls: ssl.SSLContext | None = None,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.left = threading.Event()
        """Set whenever a script is over."""
        self._scripts = scripts
        self._tls = tls
        host = "::1" if family is socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._sockets: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._sockets.append(sock)
                thread = threading.Thread(
                    target=self._talk, args=(sock, self.connections), daemon=True
                )
                self.connections += 1
                self._threads.append(thread)
                thread.start()

    def _talk(self, sock: socket.socket, number: int) -> None:
        script = self._scripts[min(number, len(self._scripts) - 1)]
        conversation = Conversation(self, sock, number)
        with contextlib.suppress(OSError, EOFError):
            if self._tls is not None:
                conversation.secure(self._tls)
            script(conversation)
        conversation.close()
        self.left.set()

    def wait_for(self, happened: list[object]) -> None:
        """Wait until a script has added an item to a list."""
        deadline = time.monotonic() + PATIENCE
        while not happened and time.monotonic() < deadline:
            time.sleep(0.01)
        assert happened

    def stop(self) -> None:
        """Refuse new connections, drop the open ones, and wait for the scripts."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture(name="patience")
def _patience() -> float:
    return PATIENCE


@pytest.fixture(name="response_of")
def _response_of() -> Callable[..., bytes]:
    return response


@pytest.fixture(name="peer")
def _peer() -> Iterator[Callable[..., Peer]]:
    """Return a function that starts a `Peer`; all are stopped after the test."""
    started = []

    def start(*scripts, **options):
        started.append(Peer(*(scripts or (Conversation.serve,)), **options))
        return started[-1]

    yield start
    for peer in started:
        peer.stop()


@pytest.fixture(name="http")
def _http() -> Iterator[Callable[..., HttpClient]]:
    """Return a function that makes an `HttpClient`; all are closed after the test."""
    made = []

    def make(url, environ=None):
        made.append(HttpClient(Connector(url, environ or {})))
        return made[-1]

    yield make
    for http in made:
        http.close()


@pytest.fixture(name="get")
def _get(http: Callable[..., HttpClient]) -> Callable[..., object]:
    """Return a function that requests a URL once, over its own connection."""

    def ask(url, environ=None, *, timeout=PATIENCE, path="/client/features"):
        return http(url, environ).request("GET", path, {}, timeout=timeout)

    return ask


@pytest.fixture(name="closed_port")
def _closed_port() -> int:
    """Return a port on which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(name="authority", scope="session")
def _authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(name="tls", scope="session")
def _tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return the server's TLS context, with a certificate for loopback."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(name="bundle", scope="session")
def _bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a file with the certificate of the authority."""
    path = tmp_path_factory.mktemp("ca") / "bundle.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)
