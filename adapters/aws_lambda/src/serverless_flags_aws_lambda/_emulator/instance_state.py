"""
The state of one instance: its phase, its invocations and its extensions.

The rules are those of the Lambda Developer Guide ("runtime environment", "Extensions
API") and of github.com/aws/aws-lambda-runtime-interface-emulator, internal/lambda.
"""

from __future__ import annotations

import enum
import json
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_EXTENSIONS = 10


class Refusal(enum.Enum):
    """Why a request is refused: AWS's ``errorType``, its message, the HTTP status."""

    NO_NAME = "Extension.InvalidExtensionName", "Empty extension name", 403
    NO_JSON = "InvalidRequestFormat", "the body is no JSON object with events", 403
    WRONG_EVENT = (
        "Extension.InvalidEventType",
        "event not supported for internal extensions",
        403,
    )
    TOO_LATE = "Extension.RegistrationClosed", "Extension registration closed", 403
    NAME_TAKEN = "Extension.InvalidExtensionState", "registered already", 403
    TOO_MANY = "Extension.TooManyExtensions", "Extension limit reached", 403
    NO_IDENTIFIER = (
        "Extension.MissingExtensionIdentifier",
        "Missing Lambda-Extension-Identifier header",
        403,
    )
    UNKNOWN = "Extension.UnknownExtensionIdentifier", "Unknown extension", 403
    WAITING = (
        "Extension.InvalidExtensionState",
        "State transition from Ready to Ready failed",
        403,
    )
    FAILED = "InvalidStateTransition", "the instance has failed already", 403
    NOT_RUNNING = "InvalidRequestID", "Invalid request ID", 400


class RefusedError(Exception):
    """Raised when a request violates a rule of the APIs."""

    def __init__(self, refusal: Refusal) -> None:
        self.kind, message, self.status = refusal.value
        super().__init__(message)


class InstanceEndedError(Exception):
    """Raised in the requests that are still pending when the instance ends."""


@dataclass(eq=False, slots=True)
class Call:
    """One invocation: its event and, when it has ended, its outcome."""

    event: bytes
    deadline: float
    """When the function times out, in seconds since the epoch."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: tuple[bool, bytes] | None = None
    """Whether the function succeeded, and its result or error; None while it runs."""


@dataclass(eq=False, slots=True)
class Extension:
    """A registered internal extension."""

    name: str
    events: list[str]
    waiting: bool = False
    """Whether its request for the next event is pending."""
    pending: deque[Call] = field(default_factory=deque)
    """The invocations whose events it has not received yet."""


class InstanceState:
    """
    One instance from Init to Shutdown; every method is thread-safe.

    Args:
        workers: the number of processes that request events; above 1 only if
            ``managed``.
        managed: whether it is a Lambda Managed Instance, where internal extensions
            receive no events.
        on_idle: called whenever the instance becomes idle, with ``changed`` held.
    """

    def __init__(
        self, *, workers: int, managed: bool, on_idle: Callable[[], None]
    ) -> None:
        self.changed = threading.Condition()
        self.extensions: dict[str, Extension] = {}
        self.failure: tuple[str, bytes] | None = None
        """The phase that failed (Init or restore) and the runtime's error."""
        self.snapshot_ready = False
        """Whether the runtime is waiting to be restored."""
        self._workers = workers
        self._managed = managed
        self._on_idle = on_idle
        self._registration_open = True
        self._restored = False
        self._ended = False
        self._waiting = 0
        """Pending requests of the runtime for its next event."""
        self._offered: deque[Call] = deque()
        self._running: dict[str, Call] = {}

    # -- called by the platform ----------------------------------------------------
    @property
    def idle(self) -> bool:
        """Whether runtime and extensions have called next: no phase is in progress."""
        runtime = self._waiting >= self._workers and not self._offered
        return runtime and not self._running and self.extensions_ready

    @property
    def extensions_ready(self) -> bool:
        """Whether every extension has called next and has no event pending."""
        return all(
            each.waiting and not each.pending for each in self.extensions.values()
        )

    def wait(self, condition: Callable[[], object], timeout: float) -> bool:
        """Wait until ``condition()``, at most ``timeout`` seconds; return its value."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not condition() and time.monotonic() < deadline:
                self.changed.wait(0.02)  # the exit of a process does not notify us
            return bool(condition())

    def offer(self, call: Call) -> None:
        """Send ``call`` to the runtime and to the extensions registered for INVOKE."""
        with self.changed:
            self._offered.append(call)
            for extension in self.extensions.values():
                if "INVOKE" in extension.events:
                    extension.pending.append(call)
            self.changed.notify_all()

    def restore(self) -> None:
        """Answer the runtime, which has waited since its snapshot."""
        with self.changed:
            self._restored = True
            self.changed.notify_all()

    def end(self) -> None:
        """End all pending requests, because the instance has ended."""
        with self.changed:
            self._ended = True
            self.changed.notify_all()

    # -- called by the runtime -----------------------------------------------------
    def next_call(self) -> Call:
        """Wait for the runtime's next event."""
        with self.changed:
            self._registration_open = False
            self._waiting += 1
            self._settle()
            self._block_until(lambda: self._offered)
            self._waiting -= 1
            call = self._offered.popleft()
            self._running[call.id] = call
            return call

    def answer(self, call_id: str, outcome: tuple[bool, bytes]) -> None:
        """Record the result or the error of an invocation, which answers its caller."""
        with self.changed:
            call = self._running.pop(call_id, None)
            if call is None:
                raise RefusedError(Refusal.NOT_RUNNING)
            call.outcome = outcome
            self.changed.notify_all()

    def fail(self, phase: str, error: bytes) -> None:
        """Record that Init or the restore failed; only the first error is accepted."""
        with self.changed:
            if self.failure is not None:
                raise RefusedError(Refusal.FAILED)
            self.failure = phase, error
            self.changed.notify_all()

    def wait_for_restore(self) -> None:
        """Wait at the snapshot until ``restore``."""
        with self.changed:
            self._registration_open = False
            self.snapshot_ready = True
            self.changed.notify_all()
            self._block_until(lambda: self._restored)

    # -- called by extensions ------------------------------------------------------
    def register(self, name: str | None, body: bytes) -> str:
        """Register an internal extension and return its identifier."""
        if not name:
            raise RefusedError(Refusal.NO_NAME)
        events = _read_events(body)
        with self.changed:
            self._check_registration(name, events)
            identifier = str(uuid.uuid4())
            self.extensions[identifier] = Extension(name, events)
            return identifier

    def _check_registration(self, name: str, events: list[str]) -> None:
        allowed = set() if self._managed else {"INVOKE"}
        names = [extension.name for extension in self.extensions.values()]
        if not allowed.issuperset(events):
            raise RefusedError(Refusal.WRONG_EVENT)
        if not self._registration_open:
            raise RefusedError(Refusal.TOO_LATE)
        if name in names:
            raise RefusedError(Refusal.NAME_TAKEN)
        if len(names) >= _MAX_EXTENSIONS:
            raise RefusedError(Refusal.TOO_MANY)

    def next_event(self, identifier: str | None) -> Call:
        """Wait for the next INVOKE event of an extension."""
        if not identifier:
            raise RefusedError(Refusal.NO_IDENTIFIER)
        with self.changed:
            extension = self.extensions.get(identifier)
            if extension is None:
                raise RefusedError(Refusal.UNKNOWN)
            if extension.waiting:
                raise RefusedError(Refusal.WAITING)
            extension.waiting = True
            self._settle()
            self._block_until(lambda: extension.pending)
            extension.waiting = False
            return extension.pending.popleft()

    # -- shared --------------------------------------------------------------------
    def _settle(self) -> None:
        self.changed.notify_all()
        if self.idle:
            self._on_idle()

    def _block_until(self, condition: Callable[[], object]) -> None:
        self.changed.wait_for(lambda: condition() or self._ended)
        if self._ended:
            raise InstanceEndedError


def _read_events(body: bytes) -> list[str]:
    """Read the events of a registration; ``events`` may be missing."""
    try:
        return list(json.loads(body).get("events") or [])
    except (ValueError, AttributeError, TypeError):
        raise RefusedError(Refusal.NO_JSON) from None
