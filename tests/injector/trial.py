"""One life of a session in which one exception is raised, and what must hold then."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calls import call_with, caller
from ending import Ending
from modes import LONG, MAX_AGE, REVALIDATE
from platforms import platform_named
from watchdog import Hung, Watchdog
from world import (
    DELAY,
    Abort,
    Always,
    Clock,
    Foreign,
    Ledger,
    Named,
    Own,
    expected,
)

from serverless_flags import FlagSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calls import Call
    from modes import Mode
    from tracing import Tracer
    from world import Server

TIMEOUT = 5.0
"""Seconds of each timeout of the session: no wait for a good server is that long."""

LIMIT = 12.0
"""Seconds after which a trial hangs."""

EVERYTHING: dict[str, Any] = {
    "strategies": {"always": Always()},
    "on_impression": lambda impression: None,
}
"""Settings of a session that evaluates flags of every kind."""


@dataclass
class Aim:
    """
    What interrupts the invocation.

    Args:
        tracer: entered around the invocation.
        suspension: at which suspension of the invocation its task is cancelled.
    """

    tracer: Tracer | None = None
    suspension: int = 0


@dataclass
class Result:
    """What became of a trial."""

    violations: list[tuple[str, str]] = field(default_factory=list)
    """Kinds of violations, each with what was seen."""
    suspensions: int = 0
    """How often the interrupted invocation was suspended."""
    left: set[str] = field(default_factory=set)
    """Names of threads and places of locks that stayed."""
    changed: bool = False
    """Whether a guarded call that counts as failed has changed an answer."""


class Trial:
    """
    One session: perhaps a whole invocation, one that is interrupted, and two more.

    Args:
        mode: what is interrupted.
        server: the flag server, which is always well.
        aim: what interrupts it.
        usual: what is left of every trial; None where that is to be found out.
        session_class: the class of the session.
    """

    def __init__(
        self,
        mode: Mode,
        server: Server,
        aim: Aim,
        usual: set[str] | None,
        session_class: type[FlagSession] = FlagSession,
    ) -> None:
        self._mode, self._server, self._aim = mode, server, aim
        self._usual = usual
        self._session_class = session_class
        self._clock = Clock()
        self._result = Result()
        self._raises = False

    def run(self) -> Result:
        """Run it in a context of its own; the result has what was wrong."""
        contextvars.Context().run(self._run)
        return self._result

    # -- the life ------------------------------------------------------------------
    def _run(self) -> None:
        threads = set(threading.enumerate())
        self._server.flipped, self._server.delay = False, 0.0
        watchdog = Watchdog(LIMIT)
        session = self._session()
        self._ledger = Ledger(session)
        try:
            with watchdog:
                call_with(self._mode.shape.awaited, self._live(session))
        except Hung as hung:
            self._wrong("hang", str(hung))
        with watchdog.again():
            self._end(session, threads)
        if watchdog.rang and not self._result.violations:
            self._wrong("hang", f"in close: {watchdog.where}")

    def _end(self, session: FlagSession, threads: set[threading.Thread]) -> None:
        session.close(TIMEOUT)
        ending = Ending(session, threads, self._usual)
        if self._result.violations:
            ending.patience = 0.2
        doubtful = int(self._guarded)
        for kind, what in ending.violations(self._server, self._ledger, doubtful):
            self._wrong(kind, what)
        self._result.left = ending.left

    @property
    def _guarded(self) -> bool:
        """Whether the exception counts as the fault of a plugin or the like."""
        return getattr(self._aim.tracer, "guarded", False)

    def _session(self) -> FlagSession:
        platform = platform_named(self._mode.shape.platform, self._server.port)
        os.environ.update(platform.environ)
        return self._session_class(
            url=self._server.url,
            api_token="default:development.secret",
            app_name="trial",
            client=self._mode.client,
            max_age=MAX_AGE,
            stale_while_revalidate=REVALIDATE,
            flush_interval=self._mode.flush_interval,
            start_timeout=TIMEOUT,
            refresh_timeout=TIMEOUT,
            flush_timeout=TIMEOUT,
            request_timeout=TIMEOUT,
            clock=self._clock,
            **(EVERYTHING if self._mode.stage.everything else {}),
            **platform.settings(awaits=self._mode.shape.form != "kept"),
        )

    async def _live(self, session: FlagSession) -> None:
        arguments = platform_named(self._mode.shape.platform, 0).arguments
        call = caller(session, self._mode.shape.form, self._function, arguments)
        after = self._mode.stage.after
        if after is not None:
            await self._whole(call, "alice", "the invocation before")
            self._clock.advance(after)
        await self._interrupted(call)
        self._server.flipped = True
        await self._follow(session, call)

    def _function(self) -> dict[str, object]:
        answers = self._ledger.evaluate(everything=self._mode.stage.everything)
        if self._raises:
            raise Own
        return answers

    async def _interrupted(self, call: Call) -> None:
        scopes = _scopes()
        self._server.delay = DELAY
        self._raises = self._mode.stage.raises
        answers, error = await self._interrupt(call)
        self._raises = False
        self._server.delay = 0.0
        left = [name for name, value in _scopes().items() if scopes.get(name) != value]
        if left:
            self._wrong("scope", f"{', '.join(left)} stays set after the invocation")
        self._judge(answers, error)

    async def _interrupt(
        self, call: Call
    ) -> tuple[dict[str, object] | None, BaseException | None]:
        """Call the function with what interrupts it; return what came of it."""
        steps = call("alice", self._aim.suspension)
        with _no_collection(), self._aim.tracer or contextlib.nullcontext():
            try:
                answers, error = await steps, None
            except Hung:
                raise
            except BaseException as raised:  # noqa: BLE001  reason: it is what is looked at
                answers, error = None, raised
        self._result.suspensions = steps.suspensions
        return answers, error

    def _judge(
        self, answers: dict[str, object] | None, error: BaseException | None
    ) -> None:
        """Hold what came of the invocation against what may come of it."""
        if error is not None:
            may = (Foreign, Named, Abort, asyncio.CancelledError)
            if isinstance(error, may):
                return
            if not (self._mode.stage.raises and type(error) is Own):
                self._wrong("exception", f"the caller gets {error!r}")
        elif self._mode.stage.raises:
            self._wrong("exception", "the function's own exception is lost")
        elif answers != self._expected("alice"):
            if self._guarded:
                self._result.changed = True
            else:
                wrong = _difference(answers, self._expected("alice"))
                self._wrong("answers", f"the interrupted function sees {wrong}")

    async def _follow(self, session: FlagSession, call: Call) -> None:
        """See two more invocations of another user."""
        self._check_status(session, "after the exception")
        self._clock.advance(LONG)
        right = self._expected("bob")
        first = await self._whole(call, "bob", "the next invocation", strict=False)
        if first != right:
            if not (first or {}).get("bob"):
                self._check_reason(session)
            self._clock.advance(LONG)
            again = await self._whole(call, "bob", "the next but one")
            if again is not None and again != right:
                wrong = _difference(again, right)
                self._wrong("stale", f"the next but one invocation sees {wrong}")
        status = session.status
        if status.source != "server":
            self._wrong("status", f"source {status.source} with the server's flags")
        if self._ledger.ask("alice"):
            self._wrong("scope", "outside, an evaluation is alice's")
        if self._ledger.ask("bob"):
            self._wrong("scope", "outside, an evaluation is bob's")

    async def _whole(
        self, call: Call, user: str, what: str, *, strict: bool = True
    ) -> dict[str, object] | None:
        """Call the function uninterrupted."""
        try:
            answers = await call(user)
        except Hung:
            raise
        except BaseException as error:  # noqa: BLE001  reason: it is what is looked at
            self._wrong("next", f"{what} raises {error!r}")
            return None
        if user == "bob" and answers["alice"]:
            self._wrong("context", f"{what} is bob's and sees alice's flag")
        if strict and user == "alice" and answers != self._expected("alice"):
            wrong = _difference(answers, self._expected("alice"))
            self._wrong("control", f"{what} sees {wrong}")
        return answers

    def _expected(self, user: str) -> dict[str, object]:
        """Return the answers for a user: bob comes when the flag is flipped."""
        everything = self._mode.stage.everything
        return expected(user, flipped=user == "bob", everything=everything)

    # -- what the session says -----------------------------------------------------
    def _check_status(self, session: FlagSession, when: str) -> None:
        status = session.status
        if status.source == "client":
            self._wrong("status", f"{when} the source is said to be the client")
        if status.state.value == "degraded" and not status.last_error:
            self._wrong("status", f"{when} degraded, and no last_error says why")

    def _check_reason(self, session: FlagSession) -> None:
        status = session.status
        if status.state.value != "starting" and not status.last_error:
            state = status.state.value
            self._wrong("status", f"defaults are served, {state}, no last_error")

    def _wrong(self, kind: str, what: str) -> None:
        self._result.violations.append((kind, what))


def _scopes() -> dict[str, object]:
    """Return what the package has set in this context."""
    return {
        variable.name: value
        for variable, value in contextvars.copy_context().items()
        if variable.name.startswith("serverless_flags") and value is not None
    }


def _difference(seen: dict[str, object] | None, right: dict[str, object]) -> str:
    seen = seen or {}
    return ", ".join(
        f"{name} {seen.get(name)}" for name in right if seen.get(name) != right[name]
    )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector from running finalizers among the traced lines."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
