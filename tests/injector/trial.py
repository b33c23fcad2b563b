"""One session, an exception in one of its invocations, and what must hold then."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import threading
from typing import TYPE_CHECKING, Any

from calls import caller, run_trial
from ending import Ending
from held import current_scopes
from modes import LONG, MAX_AGE, REVALIDATE
from platforms import platform_named
from records import Result
from watchdog import Hung, Watchdog
from world import (
    DELAY,
    Abort,
    Always,
    Clock,
    FromFunction,
    Ledger,
    Named,
    Unnamed,
    expected,
)

from serverless_flags import FlagSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calls import Call
    from modes import Mode
    from records import Trigger
    from world import Server

TIMEOUT = 5.0
"""Seconds of each timeout of the session, longer than any answer takes."""

LIMIT = 12.0
"""Seconds after which a trial counts as hanging."""

EVERYTHING: dict[str, Any] = {
    "strategies": {"always": Always()},
    "on_impression": lambda impression: None,
}
"""Settings of a session that evaluates flags of every kind."""


class Trial:
    """
    One session: a complete invocation in most modes, an interrupted one, and two more.

    Args:
        mode: which invocation is interrupted, on which platform.
        server: the flag server, which never fails.
        trigger: what interrupts it.
        usual: names of what remains after every trial; None while this is not known.
        session_class: the class of the session.
    """

    def __init__(
        self,
        mode: Mode,
        server: Server,
        trigger: Trigger,
        usual: set[str] | None,
        session_class: type[FlagSession] = FlagSession,
    ) -> None:
        self._mode, self._server, self._trigger = mode, server, trigger
        self._usual = usual
        self._session_class = session_class
        self._clock = Clock()
        self._result = Result()
        self._raises = False

    def run(self) -> Result:
        """Run the trial in a context of its own; return what it has found."""
        contextvars.Context().run(self._run)
        return self._result

    # -- the steps -----------------------------------------------------------------
    def _run(self) -> None:
        threads = set(threading.enumerate())
        self._server.flipped, self._server.delay = False, 0.0
        watchdog = Watchdog(LIMIT)
        session = self._session()
        self._ledger = Ledger(session)
        try:
            with watchdog:
                run_trial(self._mode.shape.awaited, self._invocations(session))
        except Hung as hung:
            self._add_violation("hang", str(hung))
        with watchdog.again():
            self._end(session, threads)
        if watchdog.expired and not self._result.violations:
            self._add_violation("hang", f"in close: {watchdog.where}")

    def _end(self, session: FlagSession, threads: set[threading.Thread]) -> None:
        session.close(TIMEOUT)
        ending = Ending(session, threads, self._usual)
        if self._result.violations:
            ending.timeout = 0.2
        uncertain = int(self._guarded)
        for kind, what in ending.violations(self._server, self._ledger, uncertain):
            self._add_violation(kind, what)
        self._result.remaining = ending.remaining

    @property
    def _guarded(self) -> bool:
        """Whether the exception counts as a failure of a plugin, callback or engine."""
        return getattr(self._trigger.tracer, "guarded", False)

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

    async def _invocations(self, session: FlagSession) -> None:
        arguments = platform_named(self._mode.shape.platform, 0).arguments
        call = caller(session, self._mode.shape.form, self._function, arguments)
        after = self._mode.stage.after
        if after is not None:
            await self._complete(call, "alice", "the invocation before")
            self._clock.advance(after)
        await self._interrupted(call)
        self._server.flipped = True
        await self._continue(session, call)

    def _function(self) -> dict[str, object]:
        answers = self._ledger.evaluate(everything=self._mode.stage.everything)
        if self._raises:
            raise FromFunction
        return answers

    async def _interrupted(self, call: Call) -> None:
        scopes = current_scopes()
        self._server.delay = DELAY
        self._raises = self._mode.stage.raises
        answers, error = await self._interrupt(call)
        self._raises = False
        self._server.delay = 0.0
        still_set = [
            name
            for name, value in current_scopes().items()
            if scopes.get(name) != value
        ]
        if still_set:
            self._add_violation(
                "scope", f"{', '.join(still_set)} is still set after the invocation"
            )
        self._judge(answers, error)

    async def _interrupt(
        self, call: Call
    ) -> tuple[dict[str, object] | None, BaseException | None]:
        """Call the function and interrupt it; return its answers or the exception."""
        steps = call("alice", self._trigger.suspension)
        with _no_collection(), self._trigger.tracer or contextlib.nullcontext():
            try:
                answers, error = await steps, None
            except Hung:
                raise
            except BaseException as raised:  # noqa: BLE001  reason: the exception is examined
                answers, error = None, raised
        self._result.suspensions = steps.suspensions
        return answers, error

    def _judge(
        self, answers: dict[str, object] | None, error: BaseException | None
    ) -> None:
        """Check the answers or the exception of the interrupted invocation."""
        if error is not None:
            raised = (Unnamed, Named, Abort, asyncio.CancelledError)
            if isinstance(error, raised):
                return
            if not (self._mode.stage.raises and type(error) is FromFunction):
                self._add_violation("exception", f"the caller gets {error!r}")
        elif self._mode.stage.raises:
            self._add_violation("exception", "the function's own exception is lost")
        elif answers != self._expected("alice"):
            if self._guarded:
                self._result.changed = True
            else:
                difference = _difference(answers, self._expected("alice"))
                self._add_violation(
                    "answers", f"the interrupted function sees {difference}"
                )

    async def _continue(self, session: FlagSession, call: Call) -> None:
        """Run two more invocations, of another user."""
        self._check_status(session, "after the exception")
        self._clock.advance(LONG)
        expected = self._expected("bob")
        first = await self._complete(call, "bob", "the next invocation", strict=False)
        if first != expected:
            if not (first or {}).get("bob"):
                self._check_reason(session)
            self._clock.advance(LONG)
            again = await self._complete(call, "bob", "the one after it")
            if again is not None and again != expected:
                difference = _difference(again, expected)
                self._add_violation(
                    "stale", f"the invocation after the next sees {difference}"
                )
        status = session.status
        if status.source != "server":
            self._add_violation(
                "status", f"source {status.source} with the server's flags"
            )
        if self._ledger.ask("alice"):
            self._add_violation("scope", "an evaluation outside has alice's context")
        if self._ledger.ask("bob"):
            self._add_violation("scope", "an evaluation outside has bob's context")

    async def _complete(
        self, call: Call, user: str, what: str, *, strict: bool = True
    ) -> dict[str, object] | None:
        """Call the function without interrupting it."""
        try:
            answers = await call(user)
        except Hung:
            raise
        except BaseException as error:  # noqa: BLE001  reason: the exception is examined
            self._add_violation("next", f"{what} raises {error!r}")
            return None
        if user == "bob" and answers["alice"]:
            self._add_violation("context", f"{what} is bob's and sees alice's flag")
        if strict and user == "alice" and answers != self._expected("alice"):
            difference = _difference(answers, self._expected("alice"))
            self._add_violation("control", f"{what} sees {difference}")
        return answers

    def _expected(self, user: str) -> dict[str, object]:
        """Return the answers for a user; bob's invocations come after the flip."""
        everything = self._mode.stage.everything
        return expected(user, flipped=user == "bob", everything=everything)

    # -- the status ---------------------------------------------------------------
    def _check_status(self, session: FlagSession, when: str) -> None:
        status = session.status
        if status.source == "client":
            self._add_violation("status", f"{when} the source is said to be the client")
        if status.state.value == "degraded" and not status.last_error:
            self._add_violation(
                "status", f"{when} degraded, and no last_error says why"
            )

    def _check_reason(self, session: FlagSession) -> None:
        status = session.status
        if status.state.value != "starting" and not status.last_error:
            state = status.state.value
            self._add_violation(
                "status", f"defaults are served, {state}, no last_error"
            )

    def _add_violation(self, kind: str, what: str) -> None:
        self._result.violations.append((kind, what))


def _difference(seen: dict[str, object] | None, expected: dict[str, object]) -> str:
    seen = seen or {}
    return ", ".join(
        f"{name} {seen.get(name)}"
        for name in expected
        if seen.get(name) != expected[name]
    )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from running finalizers among the traced lines."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
