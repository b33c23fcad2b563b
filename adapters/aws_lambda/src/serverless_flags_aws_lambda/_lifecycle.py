"""
The state of one instance, as Lambda keeps it: who registered, who called next.

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

_MOST_EXTENSIONS = 10


class Refusal(enum.Enum):
    """Why a request is refused: AWS's ``errorType``, what it says, the status."""

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
    """Raised when a request breaks a rule."""

    def __init__(self, refusal: Refusal) -> None:
        self.kind, message, self.status = refusal.value
        super().__init__(message)


class GoneError(Exception):
    """Raised in requests that still wait when the instance has ended."""


@dataclass(eq=False, slots=True)
class Call:
    """One event on its way through the instance."""

    event: bytes
    deadline: float
    """Seconds since the epoch: when the function times out."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: tuple[bool, bytes] | None = None
    """Whether the function returned, and its result or error; None until then."""


@dataclass(eq=False, slots=True)
class Extension:
    """An internal extension that has registered."""

    name: str
    events: list[str]
    waiting: bool = False
    """Whether its request for the next event is pending."""
    due: deque[Call] = field(default_factory=deque)


class Lifecycle:
    """
    One instance from Init to its end; every method may be called from any thread.

    Args:
        workers: processes that will ask for events; more than one only in ``managed``.
        managed: Lambda Managed Instances, where internal extensions get no events.
        on_idle: called whenever nothing is pending, with ``changed`` held.
    """

    def __init__(
        self, *, workers: int, managed: bool, on_idle: Callable[[], None]
    ) -> None:
        self.changed = threading.Condition()
        self.extensions: dict[str, Extension] = {}
        self.failure: tuple[str, bytes] | None = None
        """The phase that failed (Init, restore) and the runtime's error."""
        self.snapshot_ready = False
        """Whether the runtime waits to be restored."""
        self._workers = workers
        self._managed = managed
        self._on_idle = on_idle
        self._registration_open = True
        self._restored = False
        self._gone = False
        self._waiting = 0
        """Requests of the runtime for the next event that are pending."""
        self._offered: deque[Call] = deque()
        self._running: dict[str, Call] = {}

    # -- seen from the platform ----------------------------------------------------
    @property
    def idle(self) -> bool:
        """Whether Init or the last invocation is over: all have called next again."""
        runtime = self._waiting >= self._workers and not self._offered
        return runtime and not self._running and self.extensions_ready

    @property
    def extensions_ready(self) -> bool:
        """Whether every extension waits; one without events does so for ever."""
        return all(each.waiting and not each.due for each in self.extensions.values())

    def wait(self, condition: Callable[[], object], timeout: float) -> bool:
        """Wait until ``condition()``, which may look at more than this state."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not condition() and time.monotonic() < deadline:
                self.changed.wait(0.02)  # the end of a process notifies nobody
            return bool(condition())

    def offer(self, call: Call) -> None:
        """Give ``call`` to the runtime and to the extensions that want INVOKE."""
        with self.changed:
            self._offered.append(call)
            for extension in self.extensions.values():
                if "INVOKE" in extension.events:
                    extension.due.append(call)
            self.changed.notify_all()

    def restore(self) -> None:
        """Let the runtime go on after its snapshot."""
        with self.changed:
            self._restored = True
            self.changed.notify_all()

    def end(self) -> None:
        """Let go of every request that waits: the instance has ended."""
        with self.changed:
            self._gone = True
            self.changed.notify_all()

    # -- seen from the runtime -----------------------------------------------------
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
        """Take the result of a call, or its error: the caller is answered now."""
        with self.changed:
            call = self._running.pop(call_id, None)
            if call is None:
                raise RefusedError(Refusal.NOT_RUNNING)
            call.outcome = outcome
            self.changed.notify_all()

    def fail(self, phase: str, error: bytes) -> None:
        """Note that Init or the restoration failed; of several workers, the first."""
        with self.changed:
            if self.failure is not None:
                raise RefusedError(Refusal.FAILED)
            self.failure = phase, error
            self.changed.notify_all()

    def wait_for_restore(self) -> None:
        """Stand at the snapshot point until ``restore``."""
        with self.changed:
            self._registration_open = False
            self.snapshot_ready = True
            self.changed.notify_all()
            self._block_until(lambda: self._restored)

    # -- seen from the extensions --------------------------------------------------
    def register(self, name: str | None, body: bytes) -> str:
        """Register an internal extension; return its identifier."""
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
        if len(names) >= _MOST_EXTENSIONS:
            raise RefusedError(Refusal.TOO_MANY)

    def next_event(self, identifier: str | None) -> Call:
        """Wait for the extension's next INVOKE event."""
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
            self._block_until(lambda: extension.due)
            extension.waiting = False
            return extension.due.popleft()

    # -- inside --------------------------------------------------------------------
    def _settle(self) -> None:
        self.changed.notify_all()
        if self.idle:
            self._on_idle()

    def _block_until(self, condition: Callable[[], object]) -> None:
        self.changed.wait_for(lambda: condition() or self._gone)
        if self._gone:
            raise GoneError


def _read_events(body: bytes) -> list[str]:
    """Read the body of a registration; one without ``events`` wants none."""
    try:
        return list(json.loads(body).get("events") or [])
    except (ValueError, AttributeError, TypeError):
        raise RefusedError(Refusal.NO_JSON) from None
