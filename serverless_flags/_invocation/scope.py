"""One invocation of one session, as a context manager.

Exceptions of others may arrive at any line that the user's thread runs here. What
entering takes, any exception gives back; only calls of plugins and callbacks are
guarded against what they raise.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from serverless_flags._background import wait_for_all
from serverless_flags._invocation.context import checked, layered, read_context
from serverless_flags._passing import passes
from serverless_flags._process.state import LONGEST_START
from serverless_flags._work.due import NOTHING_DUE, within
from serverless_flags.platform import NOTHING_KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._core import Core
    from serverless_flags._log import ProblemLog
    from serverless_flags._plugins.dispatch import Plugins
    from serverless_flags._process.state import ProcessState
    from serverless_flags._work.due import BoundedWait, Plan
    from serverless_flags.platform import Invocation
    from serverless_flags.types import Variant


class InvocationScope:
    """
    One invocation of one session; a context manager for ``with`` and ``async with``.

    Nested in another of the same session it joins that one. The user's exception
    passes untouched.

    A streamed body may run each of its steps in another context or thread than the one
    before; there it asks the invocation itself::

        with flags.invocation(context={"userId": user}) as here:
            for part in parts:
                yield render(part, here.is_enabled("simpleFlag"))
    """

    __slots__ = (
        "_args", "_base", "_core", "_given", "_home", "_joined", "_kwargs", "_outer",
        "_plan", "_plugins", "_process", "_session", "ended", "invocation",
    )  # fmt: skip

    def __init__(
        self,
        session: object,
        core: Core,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self._session = session
        self._core = core
        self._args = args
        self._kwargs = kwargs
        self._given = context
        self._base: dict[str, Any] | None = None
        self._home: ProcessState | None = None
        self._process: ProcessState | None = None
        self._plan: Plan = NOTHING_DUE
        self._plugins: Plugins | None = None
        self._joined: InvocationScope | None = None
        self._outer: InvocationScope | None = None
        self.ended = False
        self.invocation: Invocation = NOTHING_KNOWN

    # -- questions -----------------------------------------------------------------
    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """Return whether the flag is on for this invocation, wherever it is asked."""
        merged = self.merged(context)
        return self._core.answer(feature_name, merged, fallback_function)

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> Variant:
        """Return the flag's variant for this invocation, wherever it is asked."""
        return self._core.answer_variant(feature_name, self.merged(context))

    # -- context -------------------------------------------------------------------
    def merged(self, context: dict[str, Any] | None) -> dict[str, Any]:
        """Return the invocation's evaluation context with the caller's on top."""
        base = self._base
        if base is None:
            base = self._build_base()
        if not context:
            return base
        if type(context) is not dict or (
            "properties" in context and type(context["properties"]) is not dict
        ):
            what = "the context of an evaluation"
            context = checked(context, what, self._problem_log)
        return layered(base, context) if base else context

    def _build_base(self) -> dict[str, Any]:
        self._base = {}  # for a callback that asks a flag itself
        try:
            self._base = self._evaluation_context()
        except BaseException:
            self._base = None
            raise
        return self._base

    def _evaluation_context(self) -> dict[str, Any]:
        """Build the context once per invocation, at its first evaluation."""
        if self._joined is not None:
            context = self._joined.merged(None)
        else:
            context = read_context(
                self._core.settings.context,
                self.invocation,
                (self._args, self._kwargs),
                self._problem_log,
            )
        given = self._given
        if given is None:
            return dict(context)
        return layered(
            context, checked(given, "invocation(context=...)", self._problem_log)
        )

    # -- with ----------------------------------------------------------------------
    def __enter__(self) -> Self:
        try:
            process = self._open()
            if process is not None:
                self._start(process)
                self._begin(process)
            first = self._plan.first
            if first is not None:
                first.what.wait(first.seconds)
                first.then()
            return self  # noqa: TRY300  reason: an exception at this line gives back too
        except BaseException:
            self._leave()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            wait = self._finish(kind)
            if wait is not None:
                wait.what.wait(wait.seconds)
            self._leave()
        except BaseException:
            self._leave()
            raise

    async def __aenter__(self) -> Self:
        try:
            process = self._open()
            if process is not None:
                await process.start_async(
                    self._known_plugins,
                    self._start_timeout(process),
                    within(LONGEST_START, self._remaining),
                )
                self._begin(process)
            first = self._plan.first
            if first is not None:
                await first.what.wait_async(first.seconds)
                first.then()
            return self  # noqa: TRY300  reason: an exception at this line gives back too
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            wait = self._finish(kind)
            if wait is not None:
                await wait.what.wait_async(wait.seconds)
            self._leave()
        except BaseException:
            self._leave()
            raise

    # -- what both share -----------------------------------------------------------
    def _open(self) -> ProcessState | None:
        """
        Enter the context variable and begin what is due.

        Returns:
            The process where that has to wait for a start.
        """
        core = self._core
        variable = core.scope
        outer = variable.get()
        if outer is not None and outer.ended:
            outer = outer.living()
        self._outer = outer
        variable.set(self)
        process = core.process
        if os.getpid() != core.pid:  # `Core.current`, without the call
            process = core.current()
        self._home = process
        if outer is not None and outer._home is process:  # noqa: SLF001  reason: another object of this class
            self._joined = outer
            return None
        plugins = core.known_plugins or core.usable_plugins
        self._plugins = plugins
        self._process = process
        if plugins.reads:
            self.invocation = plugins.read_invocation(self._args, self._kwargs)
        if not process.invoked:
            process.invoke_first(plugins)
        due_work = process.due_work
        if due_work is not None:  # `_begin` inlined
            self._plan = due_work.begin(self._remaining)
        elif process.may_start:
            return process
        if plugins.begins:
            plugins.begin_invocation(self.invocation)
        return None

    def living(self) -> InvocationScope | None:
        """Return the innermost invocation around this one that has not ended."""
        scope: InvocationScope | None = self
        while scope is not None and scope.ended:
            scope = scope._outer  # noqa: SLF001  reason: another object of this class
        return scope

    def carried(self) -> InvocationScope:
        """Return an invocation with this one's context that outlives it, for `bind`."""
        scope = InvocationScope(self._session, self._core, self._args, self._kwargs)
        scope._joined, scope._home = self, self._home
        scope.invocation = self.invocation
        return scope

    def _start(self, process: ProcessState) -> None:
        process.start(
            self._known_plugins,
            self._start_timeout(process),
            patience=within(LONGEST_START, self._remaining),
        )

    @property
    def _known_plugins(self) -> Plugins:
        assert self._plugins is not None  # noqa: S101  reason: narrows the type
        return self._plugins

    def _begin(self, process: ProcessState) -> None:
        """Begin what is due after a start."""
        if process.due_work is not None:
            self._plan = process.due_work.begin(self._remaining)
        if self._known_plugins.begins:
            self._known_plugins.begin_invocation(self.invocation)

    def _finish(self, kind: type[BaseException] | None) -> BoundedWait | None:
        """Do what is due; say what to wait for, nothing when the process is leaving."""
        process = self._process
        if process is None:
            return None
        termination = process.termination
        if termination.check() is not termination.was_connected:
            process.repair_signals()
        due_work = process.due_work
        if due_work is None:
            return None
        if (  # the usual end, in which `finish` would do nothing
            self._plan is NOTHING_DUE
            and not process.terminating
            and not due_work.requests
            and due_work.flusher.interval
        ):
            return None
        wait = due_work.finish(
            self._plan,
            self._remaining,
            evaluated=self._base is not None,
            terminating=process.terminating,
        )
        if wait is None and self._plan is NOTHING_DUE:
            return None
        leaving = kind is not None and not issubclass(kind, Exception)
        return None if leaving or self._hand_over(wait) else wait

    def _hand_over(self, wait: BoundedWait | None) -> bool:
        """Whether the platform waits in our place, after the response."""
        parts = (self._plan.background, None if wait is None else wait.what)
        under_way = [part for part in parts if part is not None and not part.ended]
        if not under_way:
            return False
        return self._known_plugins.wait_after_response(
            self.invocation, partial(wait_for_all, under_way)
        )

    def _leave(self) -> None:
        """Give back what entering took; an interruption leaves it to a second call."""
        self.ended = True
        variable = self._core.scope
        if variable.get() is self:  # else left in another context: a generator's
            outer = self._outer
            variable.set(None if outer is None else outer.living())
        plugins = self._plugins
        if plugins is not None:
            if plugins.ends:
                plugins.end_invocation(self.invocation)
            self._plugins = None

    def _start_timeout(self, process: ProcessState) -> float:
        """Return ``start_timeout``, or what the invocation has left of its time."""
        return within(process.settings.start_timeout, self._remaining)

    def _remaining(self) -> float | None:
        remaining = self.invocation.remaining_time
        if remaining is None:
            return None
        try:
            return float(remaining())
        except Exception as error:
            if passes(error):
                raise
            what = "the remaining time of an invocation is not known"
            self._problem_log.warn(what, what, exc_info=True)
            return None

    @property
    def _problem_log(self) -> ProblemLog:
        return self._core.process.problem_log
