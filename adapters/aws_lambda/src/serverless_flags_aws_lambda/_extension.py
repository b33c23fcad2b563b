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
import re
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger("serverless_flags")

NEXT_EVENT = "/2020-01-01/extension/event/next"
_NAME = "serverless-flags"
_REGISTER_TIMEOUT = 1.0
"""Seconds for the connection and the answer each: Init must not hang on us."""
_LONGEST_HEAD = 65536
"""Bytes of status line and headers that are read at most."""


class Outcome(enum.Enum):
    """What the Extensions API made of us."""

    ACCEPTED = enum.auto()
    """SIGTERM will be sent."""
    REFUSED = enum.auto()
    """403: too late, the name is taken, or the events are not to be had."""
    FAILED = enum.auto()
    """No usable answer."""


class Registration(NamedTuple):
    """The answer to one registration."""

    outcome: Outcome
    identifier: str = ""
    """By which the API knows the extension, once accepted."""
    detail: str = ""
    """What else the API said, for people."""

    @property
    def why_not(self) -> str:
        """Why SIGTERM will not be sent."""
        if self.outcome is Outcome.REFUSED:
            cure = "wrap the handler while its module is imported"
            return f"Lambda refused the extension ({self.detail}): {cure}"
        return f"Lambda's Extensions API gave no usable answer ({self.detail})"


class _Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    """By name in lower case."""
    body: str
    """What of it came with the headers."""


_registrations: dict[int, Registration] = {}
"""By process: a forked child is not registered."""
_kept: list[socket.socket] = []
"""Never read and never closed: the API counts the pending request as readiness."""


def register_once(register: Callable[[str], Registration], api: str) -> Registration:
    """Register this process in one way or another, once for all its sessions."""
    pid = os.getpid()
    if pid not in _registrations:
        _registrations[pid] = registration = register(api)
        outcome = registration.outcome.name.lower()
        _LOG.debug("Lambda extension %s: %s %s", _NAME, outcome, registration.detail)
    return _registrations[pid]


def register_silently(api: str) -> Registration:
    """
    Register at ``api``, a ``host:port``, for no events; never raise, never hang.

    It works only while the handler's module is being imported: registration closes at
    the runtime's first request for an event.
    """
    registration = Registration(Outcome.FAILED)
    asked = False
    try:
        registration = register_for(api, "")
    finally:
        # Once accepted, the next call is a duty: Init would hang without it.
        if registration.outcome is Outcome.ACCEPTED:
            asked = any(_send_next(api, registration.identifier) for _ in range(2))
    if registration.outcome is Outcome.ACCEPTED and not asked:
        return Registration(Outcome.FAILED, detail="the connection broke")
    return registration


def register_for(api: str, events: str) -> Registration:
    """Register for ``events``, as JSON; who is accepted has to call next."""
    try:
        answer = _post_register(_address(api), f'{{"events":[{events}]}}'.encode())
    except (OSError, ValueError, IndexError) as error:
        return Registration(Outcome.FAILED, detail=type(error).__name__)
    identifier = answer.headers.get("lambda-extension-identifier", "")
    if answer.status == HTTPStatus.OK and identifier:
        return Registration(Outcome.ACCEPTED, identifier)
    kind = re.search(r'"errorType"\s*:\s*"([\w.]+)"', answer.body)
    detail = kind[1] if kind else f"HTTP status {answer.status}"
    refused = answer.status == HTTPStatus.FORBIDDEN
    return Registration(Outcome.REFUSED if refused else Outcome.FAILED, detail=detail)


def _address(api: str) -> tuple[str, int]:
    host, _, port = api.rpartition(":")
    return host, int(port)


def _post_register(address: tuple[str, int], body: bytes) -> _Answer:
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
        head, _, content = _read_answer(connection).partition("\r\n\r\n")
    lines = head.split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return _Answer(int(lines[0].split(" ", 2)[1]), headers, content)


def _read_answer(connection: socket.socket) -> str:
    """
    Read to the blank line, and of the body what has come with it.

    Raises:
        ValueError: when there is no blank line in time or in size.
    """
    deadline = time.monotonic() + _REGISTER_TIMEOUT
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = connection.recv(4096)
        answer += chunk
        if not chunk or len(answer) > _LONGEST_HEAD or time.monotonic() > deadline:
            message = "the Extensions API sent no complete answer"
            raise ValueError(message)
    return answer.decode("latin-1")


def _send_next(api: str, identifier: str) -> bool:
    """Ask for an event that will never come; no thread waits for it."""
    request = (
        f"GET {NEXT_EVENT} HTTP/1.1\r\n"
        f"Host: {api}\r\n"
        f"Lambda-Extension-Identifier: {identifier}\r\n\r\n"
    )
    try:
        connection = socket.create_connection(_address(api), _REGISTER_TIMEOUT)
        _kept.append(connection)
        connection.sendall(request.encode())
        connection.settimeout(None)
    except OSError:
        return False
    return True
