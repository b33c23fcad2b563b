"""
An internal extension that receives every invocation, to work after the response.

Lambda sends the response to the caller as soon as the function has returned, and
freezes the instance when this extension, too, has requested its next event. The time in
between is billed, and counts against the function timeout:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. If the
extension stopped requesting events, every invocation would last until its timeout.
"""

from __future__ import annotations

import json
import os
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from serverless_flags_aws_lambda._extension import (
    NEXT_EVENT,
    Registration,
    RegistrationOutcome,
    register_for_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection

BEGIN_TIMEOUT = 0.25
"""Seconds after an event in which a session must enter its invocation; otherwise it is
one that uses no flags. A small instance gets CPU time only every 100 ms."""
MAX_WAIT = 2.0
"""Seconds to wait at most after a response: the default time limit of a request."""
TIMEOUT_MARGIN = 0.2
"""Seconds before the function timeout at which the extension stops waiting."""
RETRY_DELAY = 0.1
"""Seconds between two attempts to reach the Extensions API."""


class AfterResponse:
    """
    The extension of one process, and its thread.

    For each event the thread waits until the invocation has ended, and then for the
    requests that the invocation left behind. It requests the next event even if one of
    these steps fails.
    """

    def __init__(self, api: str) -> None:
        self._api = api
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._registration: Registration | None = None
        self._invocation: str | None = None
        """The request id of the invocation that began last."""
        self._sessions = 0
        """The number of sessions inside that invocation."""
        self._released: str | None = None
        """The request id of the last event that the thread has finished."""
        self._disconnected = False
        """Whether the last request for an event has failed."""
        self._waits: list[Callable[[float], bool]] = []

    def register(self) -> Registration:
        """Register for INVOKE events; it neither raises nor blocks for long."""
        try:
            threading.Thread(
                target=self._run, name="serverless-flags-after-response", daemon=True
            ).start()  # first: without it, every invocation would time out
        except RuntimeError:
            return Registration(
                RegistrationOutcome.FAILED, detail="no thread can be started"
            )
        registration = register_for_events(self._api, '"INVOKE"')
        with self._changed:
            self._registration = registration
            self._changed.notify_all()
        return registration

    # -- called by invocations -----------------------------------------------------
    def begin(self, invocation: str | None) -> None:
        """Record that a session has entered an invocation."""
        with self._changed:
            if invocation != self._invocation:
                self._invocation, self._sessions = invocation, 0
            self._sessions += 1
            self._changed.notify_all()

    def accept_wait(
        self, invocation: str | None, wait: Callable[[float], bool]
    ) -> bool:
        """
        Accept ``wait``, to be called after the response; return whether it is accepted.

        It is not when the invocation's event was already released or never received.
        """
        with self._changed:
            pending = invocation is not None and invocation != self._released
            if not pending or self._disconnected or os.getpid() != self._pid:
                return False
            self._waits.append(wait)
            return True

    def end(self, invocation: str | None) -> None:
        """Record that a session has left an invocation."""
        with self._changed:
            if invocation == self._invocation:
                self._sessions -= 1
                self._changed.notify_all()

    # -- the thread ----------------------------------------------------------------
    def _run(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._registration is not None)
        registration = self._registration
        if registration is None or not registration.is_accepted:
            return
        from http.client import HTTPConnection  # the flag client has imported it too

        connection = HTTPConnection(self._api)  # no timeout: an event may take days
        while True:
            try:
                self._keep_awake(_next_event(connection, registration.identifier))
            except Exception:  # noqa: BLE001  reason: if this thread ended, every invocation would time out
                self._disconnected = True
                connection.close()
                time.sleep(RETRY_DELAY)

    def _keep_awake(self, event: dict[str, Any]) -> None:
        """Return when the invocation of ``event`` has nothing left to wait for."""
        self._disconnected = False
        invocation: str = event["requestId"]
        deadline: float = event["deadlineMs"] / 1000 - TIMEOUT_MARGIN

        def remaining() -> float:
            return max(0.0, deadline - time.time())

        with self._changed:
            begun = self._changed.wait_for(
                lambda: self._invocation == invocation, min(BEGIN_TIMEOUT, remaining())
            )
            if begun:
                self._changed.wait_for(lambda: self._sessions <= 0, remaining())
            self._released = invocation
            waits, self._waits = self._waits, []
        until = time.time() + MAX_WAIT
        for wait in waits:
            wait(max(0.0, min(remaining(), until - time.time())))


def _next_event(connection: HTTPConnection, identifier: str) -> dict[str, Any]:
    """Request the next event and wait for it."""
    headers = {"Lambda-Extension-Identifier": identifier}
    connection.request("GET", NEXT_EVENT, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != HTTPStatus.OK:
        message = f"the Extensions API answered {answer.status}"
        raise OSError(message)
    event: dict[str, Any] = json.loads(body)
    return event
