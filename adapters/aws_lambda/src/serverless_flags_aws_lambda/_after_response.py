"""
An internal extension that hears of every invocation: work may follow the response.

Lambda answers the caller when the function has responded, and freezes the instance when
this extension, too, has asked for its next event. The time in between is billed, and
counts against the function timeout:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. An extension
that did not ask again would cost every invocation its whole timeout.
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
    Outcome,
    Registration,
    register_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection

PATIENCE = 0.25
"""Seconds after its event in which an invocation begins, if it is one of ours: a small
instance is given the processor every 100 ms only."""
LONGEST = 2.0
"""Seconds that are waited after a response: a request's life, by default."""
MARGIN = 0.2
"""Seconds before the function timeout at which the instance is let go."""
RETRY = 0.1
"""Seconds between two attempts to reach the Extensions API."""


class AfterResponse:
    """
    The extension of one process and its thread.

    The thread takes each event, waits for the end of the invocation and of what it has
    handed over, and asks for the next event, whatever has happened.
    """

    def __init__(self, api: str) -> None:
        self._api = api
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._registration: Registration | None = None
        self._invocation: str | None = None
        """The one that began last, by its request id."""
        self._open = 0
        """Sessions that are inside it."""
        self._released: str | None = None
        """The one after which the next event was asked for."""
        self._broken = False
        """Whether the last request for an event has failed."""
        self._waits: list[Callable[[float], bool]] = []

    def register(self) -> Registration:
        """Register for every invocation; never raise, never hang."""
        try:
            threading.Thread(
                target=self._run, name="serverless-flags-after-response", daemon=True
            ).start()  # first: registered without a thread, every invocation would hang
        except RuntimeError:
            return Registration(Outcome.FAILED, detail="no thread can be started")
        registration = register_for(self._api, '"INVOKE"')
        with self._changed:
            self._registration = registration
            self._changed.notify_all()
        return registration

    # -- seen from the invocation --------------------------------------------------
    def begin(self, invocation: str | None) -> None:
        """Note that a session has entered an invocation."""
        with self._changed:
            if invocation != self._invocation:
                self._invocation, self._open = invocation, 0
            self._open += 1
            self._changed.notify_all()

    def take(self, invocation: str | None, wait: Callable[[float], bool]) -> bool:
        """Take over the waiting, unless the invocation's event is past or not heard."""
        with self._changed:
            known = invocation is not None and invocation != self._released
            if not known or self._broken or os.getpid() != self._pid:
                return False
            self._waits.append(wait)
            return True

    def end(self, invocation: str | None) -> None:
        """Note that a session has left an invocation."""
        with self._changed:
            if invocation == self._invocation:
                self._open -= 1
                self._changed.notify_all()

    # -- the thread ----------------------------------------------------------------
    def _run(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._registration is not None)
        registration = self._registration
        if registration is None or registration.outcome is not Outcome.ACCEPTED:
            return
        from http.client import HTTPConnection  # the flag client has imported it too

        connection = HTTPConnection(
            self._api
        )  # no timeout: nothing may happen for days
        while True:
            try:
                self._hold(_next_event(connection, registration.identifier))
            except Exception:  # noqa: BLE001  reason: this thread must not die
                self._broken = True
                connection.close()
                time.sleep(RETRY)

    def _hold(self, event: dict[str, Any]) -> None:
        """Keep the instance awake until its invocation has nothing left to wait for."""
        self._broken = False
        invocation: str = event["requestId"]
        deadline: float = event["deadlineMs"] / 1000 - MARGIN

        def left() -> float:
            return max(0.0, deadline - time.time())

        with self._changed:
            begun = self._changed.wait_for(
                lambda: self._invocation == invocation, min(PATIENCE, left())
            )
            if begun:
                self._changed.wait_for(lambda: self._open <= 0, left())
            self._released = invocation
            waits, self._waits = self._waits, []
        until = time.time() + LONGEST
        for wait in waits:
            wait(max(0.0, min(left(), until - time.time())))


def _next_event(connection: HTTPConnection, identifier: str) -> dict[str, Any]:
    """Ask for the next event and wait for it."""
    headers = {"Lambda-Extension-Identifier": identifier}
    connection.request("GET", NEXT_EVENT, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != HTTPStatus.OK:
        message = f"the Extensions API answered {answer.status}"
        raise OSError(message)
    event: dict[str, Any] = json.loads(body)
    return event
