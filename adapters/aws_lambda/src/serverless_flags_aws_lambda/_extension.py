"""
An internal extension without events, for the sake of SIGTERM.

Lambda kills an instance without a signal unless an extension is registered; one with
``"events": []`` is enough, is never waited for after Init and never told anything:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Plain
sockets, because an HTTP client's import costs more than the whole exchange.
"""

from __future__ import annotations

import enum
import logging
import os
import socket
import time
from http import HTTPStatus

_LOG = logging.getLogger("serverless_flags")

_NAME = "serverless-flags"
_REGISTER_TIMEOUT = 1.0
"""Seconds for the connection and the answer each: Init must not hang on us."""
_LONGEST_HEAD = 65536
"""Bytes of status line and headers that are read at most."""


class Registration(enum.Enum):
    """What the Extensions API made of us."""

    ACCEPTED = enum.auto()
    """SIGTERM will be sent."""
    REFUSED = enum.auto()
    """403: too late, or the name is taken."""
    FAILED = enum.auto()
    """No usable answer."""


_registrations: dict[int, Registration] = {}
"""By process: a forked child is not registered."""
_kept: list[socket.socket] = []
"""Never read and never closed: the API counts the pending request as readiness."""


def register(api: str) -> Registration:
    """
    Register this process at ``api``, a ``host:port``, once; never raise, never hang.

    It works only while the handler's module is being imported: registration closes at
    the runtime's first request for an event.
    """
    pid = os.getpid()
    if pid not in _registrations:
        _registrations[pid] = _register(api)
        _LOG.debug("Lambda extension %s: %s", _NAME, _registrations[pid].name.lower())
    return _registrations[pid]


def _register(api: str) -> Registration:
    host, _, port = api.rpartition(":")
    try:
        address = host, int(port)
        status, identifier = _post_register(address)
    except (OSError, ValueError, IndexError):
        return Registration.FAILED
    if status == HTTPStatus.FORBIDDEN:
        return Registration.REFUSED
    if status != HTTPStatus.OK or not identifier:
        return Registration.FAILED
    # Once accepted, the next call is a duty: Init would hang without it.
    if _send_next(address, identifier) or _send_next(address, identifier):
        return Registration.ACCEPTED
    return Registration.FAILED


def _post_register(address: tuple[str, int]) -> tuple[int, str]:
    """Send the registration; return the status and the extension's identifier."""
    body = b'{"events":[]}'
    request = (
        "POST /2020-01-01/extension/register HTTP/1.1\r\n"
        f"Host: {address[0]}:{address[1]}\r\n"
        f"Lambda-Extension-Name: {_NAME}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    with socket.create_connection(address, _REGISTER_TIMEOUT) as connection:
        connection.sendall(request.encode() + body)
        lines = _read_head(connection).split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    status = int(lines[0].split(" ", 2)[1])
    return status, headers.get("lambda-extension-identifier", "")


def _read_head(connection: socket.socket) -> str:
    """Read to the blank line; ValueError when it does not come in time or in size."""
    deadline = time.monotonic() + _REGISTER_TIMEOUT
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = connection.recv(4096)
        head += chunk
        if not chunk or len(head) > _LONGEST_HEAD or time.monotonic() > deadline:
            message = "the Extensions API sent no complete answer"
            raise ValueError(message)
    return head.partition(b"\r\n\r\n")[0].decode("latin-1")


def _send_next(address: tuple[str, int], identifier: str) -> bool:
    """Ask for an event that will never come; no thread waits for it."""
    request = (
        "GET /2020-01-01/extension/event/next HTTP/1.1\r\n"
        f"Host: {address[0]}:{address[1]}\r\n"
        f"Lambda-Extension-Identifier: {identifier}\r\n\r\n"
    )
    try:
        connection = socket.create_connection(address, _REGISTER_TIMEOUT)
        _kept.append(connection)
        connection.sendall(request.encode())
        connection.settimeout(None)
    except OSError:
        return False
    return True
