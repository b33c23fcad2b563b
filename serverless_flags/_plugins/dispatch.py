"""
Call the hooks of one session, so that no failure of a plugin reaches the caller.

Return values are checked here; a value of a wrong type counts as None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from serverless_flags._log import ProblemLog
from serverless_flags._passing import passes
from serverless_flags._plugins.binding import (
    by_position,
    hook_names,
    implementations,
    new_manager,
    register,
)
from serverless_flags._plugins.checks import kind, mismatch
from serverless_flags.platform import NOTHING_KNOWN, Invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from serverless_flags._plugins.binding import Bound
    from serverless_flags.platform import Platform


class Plugins:
    """
    The hooks of one session: those of the platform and of its observers.

    Args:
        platform: the selected platform.
        observers: names and objects of the plugins that detect no platform.
        session: returns the session for hooks; None once it is garbage-collected.
    """

    def __init__(
        self,
        platform: Platform,
        observers: Iterable[tuple[str, Any]],
        session: Callable[[], Any],
    ) -> None:
        self.platform = platform
        self._session = session
        self._problem_log = ProblemLog()
        manager = new_manager()
        for name, plugin in observers:
            if not manager.is_registered(
                plugin
            ):  # from the settings and discovered too
                register(manager, plugin, name)
        self._platforms_name = register(manager, platform, platform.name)
        self._hooks = {name: implementations(manager, name) for name in hook_names()}
        self._is_silent = True
        """Whether the platform has always returned None from ``connect_instance``."""
        self._last_valid: Bound | None = None
        """The hook whose invocation was the last to pass all checks."""
        self._read = by_position(self._hooks["read_invocation"], "args", "kwargs")
        self._begin = by_position(self._hooks["begin_invocation"], "invocation")
        self._end = by_position(self._hooks["end_invocation"], "invocation")
        self.reads, self.begins = bool(self._read), bool(self._begin)
        """Whether ``read_invocation``, and ``begin_invocation``, are implemented."""
        self.ends = bool(self._end)
        """Whether any plugin implements ``end_invocation``."""

    @property
    def session(self) -> Any:
        """The session whose plugins these are."""
        return self._session()

    def prepare_function(self, func: object, wrapper: Callable[..., Any]) -> None:
        """Pass the wrapped function to the platform, whose TypeError propagates."""
        for hook in self._hooks["prepare_function"]:
            try:
                hook(func=func, wrapper=wrapper)
            except TypeError:
                raise
            except Exception as error:
                if passes(error):
                    raise
                self._log_failure(hook, "prepare_function")

    def connect_instance(self, at: str) -> tuple[bool, str]:
        """
        Connect the platform's signals.

        Returns:
            Whether the session will get a shutdown notice; if not, the reason from the
            platform, or which plugin failed.
        """
        given = {"session": self.session, "platform": self.platform, "at": at}
        answers = self._call_all("connect_instance", **given)
        if any(h.plugin == self._platforms_name and a is not None for h, a in answers):
            self._is_silent = False
        if any(answer is True for _, answer in answers):
            return True, ""
        reasons = [self._why_not(hook, answer, at) for hook, answer in answers]
        return False, "; ".join(filter(None, reasons))

    def _why_not(self, hook: Bound, answer: object, at: str) -> str:
        """Return why a hook has not connected; empty when no reason is expected."""
        if isinstance(answer, str):
            return answer
        if isinstance(answer, Exception):
            failure = type(answer).__name__
            return f"plugin {hook.plugin!r} failed in connect_instance ({failure})"
        if answer is False:
            return ""
        if answer is not None:
            return self._log_wrong_answer(
                hook, "connect_instance", kind(answer), _CONNECTED
            )
        is_last = hook.plugin == self._platforms_name and at == "first_invocation"
        if is_last and self._is_silent:
            what = f"plugin {hook.plugin!r} returned nothing from connect_instance"
            return f"{what}, expected {_CONNECTED}"
        return ""

    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """Return the platform's description of an invocation, or an empty one."""
        for read, hook in self._read:
            try:
                invocation: object = read(args, kwargs)
            except Exception as error:
                if passes(error):
                    raise
                self._log_failure(hook, "read_invocation")
                continue
            if type(invocation) is Invocation and hook is self._last_valid:
                return invocation
            if invocation is not None and self._is_valid(invocation, hook):
                return invocation
        return NOTHING_KNOWN

    def _is_valid(self, invocation: object, hook: Bound) -> TypeGuard[Invocation]:
        """Check a hook's first result and its fields; later calls skip the cost."""
        what: str | None = kind(invocation)
        if isinstance(invocation, Invocation):
            what = mismatch(invocation)
        if what is None:
            self._last_valid = hook
            return True
        self._log_wrong_answer(hook, "read_invocation", what, "an Invocation or None")
        return False

    def begin_invocation(self, invocation: Invocation) -> None:
        """Call the hook ``begin_invocation``."""
        for begin, hook in self._begin:
            try:
                begin(invocation)
            except Exception as error:
                if passes(error):
                    raise
                self._log_failure(hook, "begin_invocation")

    def wait_after_response(
        self, invocation: Invocation, wait: Callable[[float], bool]
    ) -> bool:
        """Return whether the platform does the waiting after the response."""
        accepted = False
        for hook, answer in self._call_all(
            "wait_after_response", invocation=invocation, wait=wait
        ):
            if isinstance(answer, bool):
                accepted = accepted or answer
            elif answer is not None and not isinstance(answer, Exception):
                self._log_wrong_answer(
                    hook, "wait_after_response", kind(answer), "a bool or None"
                )
        return accepted

    def end_invocation(self, invocation: Invocation) -> None:
        """Call the hook ``end_invocation``."""
        for end, hook in self._end:
            try:
                end(invocation)
            except Exception as error:
                if passes(error):
                    raise
                self._log_failure(hook, "end_invocation")

    def after_refresh(self, outcome: str, seconds: float) -> None:
        """Call the hook ``after_refresh`` with the outcome of a refresh."""
        self._call_with_session("after_refresh", outcome=outcome, seconds=seconds)

    def after_flush(self, outcome: str, seconds: float) -> None:
        """Call the hook ``after_flush`` with the outcome of a flush."""
        self._call_with_session("after_flush", outcome=outcome, seconds=seconds)

    def disconnect_instance(self, reason: str) -> None:
        """Call the hook ``disconnect_instance``, after the session's last flush."""
        self._call_with_session("disconnect_instance", reason=reason)

    def _call_with_session(self, name: str, **given: Any) -> None:
        session = self._session()
        if session is not None:  # else it is garbage: this is its last flush
            self._call_all(name, session=session, **given)

    def _call_all(self, name: str, **given: Any) -> list[tuple[Bound, Any]]:
        """Call each implementation; an exception it raises stands for its result."""
        answers: list[tuple[Bound, Any]] = []
        for hook in self._hooks[name]:
            try:
                answers.append((hook, hook(**given)))
            except Exception as error:
                if passes(error):
                    raise
                self._log_failure(hook, name)
                answers.append((hook, error))
        return answers

    def _log_wrong_answer(
        self, hook: Bound, name: str, what: str, expected: str
    ) -> str:
        """Log a value of a wrong type, the first time as a warning; return the text."""
        message = "plugin %r returned %s from %s, expected %s"
        args = (hook.plugin, what, name, expected)
        self._problem_log.warn(f"{hook.plugin}.{name} answers", message, *args)
        return message % args

    def _log_failure(self, hook: Bound, name: str) -> None:
        """Log a plugin's failure, the first time as a warning, with its traceback."""
        problem = f"{hook.plugin}.{name}"
        message = "plugin %r failed in %s; going on without it"
        self._problem_log.warn(problem, message, hook.plugin, name, exc_info=True)


_CONNECTED = "True once its signals are connected, or a string that says why not"
