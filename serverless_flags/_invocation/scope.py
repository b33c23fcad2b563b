"""
One invocation of one session, as a context manager.

A runtime may raise an exception, such as a request timeout, at any line that runs here
on the user's thread. Whatever is raised, everything that entering has acquired is
released. Only exceptions of plugins and callbacks are caught.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from serverless_flags._background import wait_for_all
from serverless_flags._invocation.context import InvocationContext
from serverless_flags._passing import passes
from serverless_flags._process.state import MAX_START_WAIT
from serverless_flags._work.due import NOTHING_DUE, within
from serverless_flags.platform import NOTHING_KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._core import Core
    from serverless_flags._plugins.dispatch import Plugins
    from serverless_flags._process.state import ProcessState
    from serverless_flags._work.due import BoundedWait, Plan


class InvocationScope(InvocationContext):
    """
    One invocation of one session; a context manager for ``with`` and ``async with``.

    An invocation nested in another of the same session joins it. Exceptions of your
    function propagate unchanged.

    A framework may run each step of a streamed body in another context or thread. There
    you evaluate flags through the invocation itself::

        with flags.invocation(context={"userId": user}) as here:
            for part in parts:
                yield render(part, here.is_enabled("simpleFlag"))
    """

    __slots__ = (
        "_opened_in", "_outer", "_plan", "_plugins", "_process", "_session", "ended",
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
        self._given_context = context
        self._context = None
        self._opened_in: ProcessState | None = None
        self._process: ProcessState | None = None
        self._plan: Plan = NOTHING_DUE
        self._plugins: Plugins | None = None
        self._joined = None
        self._outer: InvocationScope | None = None
        self.ended = False
        self.invocation = NOTHING_KNOWN

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
                    within(MAX_START_WAIT, self._remaining),
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

    # -- shared by `with` and `async with` -----------------------------------------
    def _open(self) -> ProcessState | None:
        """
        Set the context variable and begin the work that is due.

        Returns:
            The process state if the session has to start first.
        """
        core = self._core
        outer = core.scope.get()
        if outer is not None and outer.ended:
            outer = outer.innermost_open()
        self._outer = outer
        core.scope.set(self)
        process = core.process
        if os.getpid() != core.pid:  # what `Core.current` does, without that call
            process = core.current()
        self._opened_in = process
        if outer is not None and outer._opened_in is process:  # noqa: SLF001  reason: another object of this class
            self._joined = outer
            return None
        plugins = core.known_plugins or core.usable_plugins
        self._plugins = plugins
        self._process = process
        if plugins.reads:
            self.invocation = plugins.read_invocation(self._args, self._kwargs)
        if not process.invoked:
            process.note_first_invocation(plugins)
        due_work = process.due_work
        if due_work is not None:  # what `_begin` does, without that call
            self._plan = due_work.begin(self._remaining)
        elif process.may_start:
            return process
        if plugins.begins:
            plugins.begin_invocation(self.invocation)
        return None

    def innermost_open(self) -> InvocationScope | None:
        """Return the innermost of this and the outer invocations that is not ended."""
        scope: InvocationScope | None = self
        while scope is not None and scope.ended:
            scope = scope._outer  # noqa: SLF001  reason: another object of this class
        return scope

    def detached(self) -> InvocationScope:
        """Return an invocation in the same context that may outlive it, for `bind`."""
        scope = InvocationScope(self._session, self._core, self._args, self._kwargs)
        scope._joined, scope._opened_in = self, self._opened_in
        scope.invocation = self.invocation
        return scope

    def _start(self, process: ProcessState) -> None:
        process.start(
            self._known_plugins,
            self._start_timeout(process),
            max_wait=within(MAX_START_WAIT, self._remaining),
        )

    @property
    def _known_plugins(self) -> Plugins:
        assert self._plugins is not None  # noqa: S101  reason: narrows the type
        return self._plugins

    def _begin(self, process: ProcessState) -> None:
        """Begin the work that is due, after a start."""
        if process.due_work is not None:
            self._plan = process.due_work.begin(self._remaining)
        if self._known_plugins.begins:
            self._known_plugins.begin_invocation(self.invocation)

    def _finish(self, kind: type[BaseException] | None) -> BoundedWait | None:
        """
        Begin the work that is due at the end of the invocation.

        Returns:
            What to wait for before the response, unless the platform waits after it or
            ``kind``, the type of an exception, means that the process exits.
        """
        process = self._process
        if process is None:
            return None
        termination = process.termination
        if termination.check() is not termination.was_connected:
            process.repair_signals()
        due_work = process.due_work
        if due_work is None:
            return None
        if (  # the usual case, in which `finish` would do nothing
            self._plan is NOTHING_DUE
            and not process.terminating
            and not due_work.requests
            and due_work.flusher.interval
        ):
            return None
        wait = due_work.finish(
            self._plan,
            self._remaining,
            evaluated=self._context is not None,
            terminating=process.terminating,
        )
        if wait is None and self._plan is NOTHING_DUE:
            return None
        exiting = kind is not None and not issubclass(kind, Exception)
        return None if exiting or self._waits_after_response(wait) else wait

    def _waits_after_response(self, wait: BoundedWait | None) -> bool:
        """Ask the platform to wait after the response; return whether it will."""
        parts = (self._plan.background, None if wait is None else wait.what)
        under_way = [part for part in parts if part is not None and not part.ended]
        if not under_way:
            return False
        return self._known_plugins.wait_after_response(
            self.invocation, partial(wait_for_all, under_way)
        )

    def _leave(self) -> None:
        """Release what entering has acquired; after an interruption, call it again."""
        self.ended = True
        variable = self._core.scope
        if variable.get() is self:  # a generator may leave it in another context
            outer = self._outer
            variable.set(None if outer is None else outer.innermost_open())
        plugins = self._plugins
        if plugins is not None:
            if plugins.ends:
                plugins.end_invocation(self.invocation)
            self._plugins = None

    def _start_timeout(self, process: ProcessState) -> float:
        """Return ``start_timeout``, or the invocation's remaining time if shorter."""
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
