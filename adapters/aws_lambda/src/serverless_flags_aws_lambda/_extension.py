"""
Register an internal extension without events, so that Lambda sends SIGTERM.

Lambda kills an instance without a signal unless an extension is registered. One with
``"events": []`` is enough; it receives no events, and Lambda waits for it during Init
only: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. The
requests use plain sockets, because importing an HTTP client would take longer than
they do.
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
"""Seconds for the connection and for the response, each: Init must not hang."""
_MAX_HEAD = 65536
"""The most bytes of status line and headers that are read."""


class RegistrationOutcome(enum.Enum):
    """The result of a registration at the Extensions API."""

    ACCEPTED = enum.auto()
    """The extension is registered: Lambda will send SIGTERM."""
    REFUSED = enum.auto()
    """Status 403: it is too late, the name is taken or an event is not allowed."""
    FAILED = enum.auto()
    """There was no usable response."""


class Registration(NamedTuple):
    """The response to one registration."""

    outcome: RegistrationOutcome
    identifier: str = ""
    """Identifies an accepted extension in its further requests."""
    detail: str = ""
    """The reason of a refusal or failure, to show to users."""

    @property
    def is_accepted(self) -> bool:
        """Whether the extension is registered."""
        return self.outcome is RegistrationOutcome.ACCEPTED

    @property
    def why_not(self) -> str:
        """Why Lambda will not send SIGTERM, and what to do about it."""
        if self.outcome is RegistrationOutcome.REFUSED:
            cure = "wrap the handler while its module is imported"
            return f"Lambda refused the extension ({self.detail}): {cure}"
        return f"Lambda's Extensions API gave no usable answer ({self.detail})"


class _Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    """The headers, by their names in lower case."""
    body: str
    """The part of the body that arrived with the headers."""


_registrations: dict[int, Registration] = {}
"""By process id: a forked child is not registered."""
_pending: list[socket.socket] = []
"""Connections that are never read or closed: to the API, the pending request on each
means that the extension is ready."""


def register_once(register: Callable[[str], Registration], api: str) -> Registration:
    """Call ``register`` once per process; all its sessions share the registration."""
    pid = os.getpid()
    if pid not in _registrations:
        _registrations[pid] = registration = register(api)
        outcome = registration.outcome.name.lower()
        _LOG.debug("Lambda extension %s: %s %s", _NAME, outcome, registration.detail)
    return _registrations[pid]


def register_without_events(api: str) -> Registration:
    """
    Register at ``api``, a ``host:port``; it neither raises nor blocks for long.

    Call it while the handler's module is imported: registration closes when the runtime
    requests its first event.
    """
    registration = Registration(RegistrationOutcome.FAILED)
    requested = False
    try:
        registration = register_for_events(api, "")
    finally:
        # Init would hang until an accepted extension has requested its next event.
        if registration.is_accepted:
            requested = any(
                _request_next_event(api, registration.identifier) for _ in range(2)
            )
    if registration.is_accepted and not requested:
        return Registration(RegistrationOutcome.FAILED, detail="the connection broke")
    return registration


def register_for_events(api: str, events: str) -> Registration:
    """Register for ``events``, in JSON; once accepted, request the next event."""
    try:
        answer = _post_register(_address(api), f'{{"events":[{events}]}}'.encode())
    except (OSError, ValueError, IndexError) as error:
        return Registration(RegistrationOutcome.FAILED, detail=type(error).__name__)
    identifier = answer.headers.get("lambda-extension-identifier", "")
    if answer.status == HTTPStatus.OK and identifier:
        return Registration(RegistrationOutcome.ACCEPTED, identifier)
    kind = re.search(r'"errorType"\s*:\s*"([\w.]+)"', answer.body)
    detail = kind[1] if kind else f"HTTP status {answer.status}"
    refused = answer.status == HTTPStatus.FORBIDDEN
    return Registration(
        RegistrationOutcome.REFUSED if refused else RegistrationOutcome.FAILED,
        detail=detail,
    )


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
    Read the headers, and the part of the body that arrives with them.

    Raises:
        ValueError: when the headers are too long or do not end in time.
    """
    deadline = time.monotonic() + _REGISTER_TIMEOUT
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = connection.recv(4096)
        answer += chunk
        if not chunk or len(answer) > _MAX_HEAD or time.monotonic() > deadline:
            message = "the Extensions API sent no complete answer"
            raise ValueError(message)
    return answer.decode("latin-1")


def _request_next_event(api: str, identifier: str) -> bool:
    """Request an event that will never come, without waiting for the response."""
    request = (
        f"GET {NEXT_EVENT} HTTP/1.1\r\n"
        f"Host: {api}\r\n"
        f"Lambda-Extension-Identifier: {identifier}\r\n\r\n"
    )
    try:
        connection = socket.create_connection(_address(api), _REGISTER_TIMEOUT)
        _pending.append(connection)
        connection.sendall(request.encode())
        connection.settimeout(None)
    except OSError:
        return False
    return True
