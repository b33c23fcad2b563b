"""The hooks of one session, called so that no plugin's fault gets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags._hooks import (
    by_position,
    hook_names,
    implementations,
    new_manager,
    register,
)
from serverless_flags._report import Reporter
from serverless_flags.platform import NOTHING_KNOWN, Invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from serverless_flags._hooks import Bound
    from serverless_flags._session import FlagSession
    from serverless_flags.platform import Platform


class Plugins:
    """The hooks of one session: those of the platform and of its observers."""

    def __init__(
        self, platform: Platform, observers: Iterable[tuple[str, Any]]
    ) -> None:
        self.platform = platform
        self._reporter = Reporter()
        manager = new_manager()
        for name, plugin in observers:
            if not manager.is_registered(plugin):  # given, and found again
                register(manager, plugin, name)
        register(manager, platform, platform.name)
        self._hooks = {name: implementations(manager, name) for name in hook_names()}
        self._read = by_position(self._hooks["read_invocation"], "args", "kwargs")
        self._begin = by_position(self._hooks["begin_invocation"], "invocation")
        self.begins = bool(self._begin)
        """Whether anybody wants to be told that an invocation begins."""
        self._end = by_position(self._hooks["end_invocation"], "invocation")

    def prepare_function(self, func: object, wrapper: Callable[..., Any]) -> None:
        """Let the platform see what is wrapped; its TypeError is for the user."""
        for hook in self._hooks["prepare_function"]:
            try:
                hook(func=func, wrapper=wrapper)
            except TypeError:
                raise
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "prepare_function")

    def connect_instance(self, session: FlagSession, at: str) -> tuple[bool, str]:
        """Connect the platform's signals; will the end be heard, and why not?"""
        given = {"session": session, "platform": self.platform, "at": at}
        answers = self._call_all("connect_instance", **given)
        whys = [answer for answer in answers if isinstance(answer, str)]
        return any(answer is True for answer in answers), "; ".join(whys)

    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """Return what the platform knows of an invocation, or an empty one."""
        for read, hook in self._read:
            try:
                invocation = read(args, kwargs)
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "read_invocation")
                continue
            if isinstance(invocation, Invocation):
                return invocation
        return NOTHING_KNOWN

    def begin_invocation(self, invocation: Invocation) -> None:
        """Tell all that an invocation begins."""
        for begin, hook in self._begin:
            try:
                begin(invocation)
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "begin_invocation")

    def wait_after_response(
        self, invocation: Invocation, wait: Callable[[float], bool]
    ) -> bool:
        """Whether the platform takes over the waiting."""
        given = {"invocation": invocation, "wait": wait}
        return any(a is True for a in self._call_all("wait_after_response", **given))

    def end_invocation(self, invocation: Invocation) -> None:
        """Tell all that an invocation ends."""
        for end, hook in self._end:
            try:
                end(invocation)
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "end_invocation")

    def after_refresh(self, session: FlagSession, outcome: str, seconds: float) -> None:
        """Tell the observers what a refresh came to."""
        given = {"session": session, "outcome": outcome, "seconds": seconds}
        self._call_all("after_refresh", **given)

    def after_flush(self, session: FlagSession, outcome: str, seconds: float) -> None:
        """Tell the observers what a flush came to."""
        given = {"session": session, "outcome": outcome, "seconds": seconds}
        self._call_all("after_flush", **given)

    def disconnect_instance(self, session: FlagSession, reason: str) -> None:
        """Tell all that the session has sent its last."""
        self._call_all("disconnect_instance", session=session, reason=reason)

    def _call_all(self, name: str, **given: Any) -> list[Any]:
        answers = []
        for hook in self._hooks[name]:
            try:
                answers.append(hook(**given))
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, name)
        return answers

    def _fault(self, hook: Bound, name: str) -> None:
        """Log a plugin's fault, the first time with its traceback."""
        trouble = f"{hook.plugin}.{name}"
        message = "plugin %r failed in %s; going on without it"
        self._reporter.warn(trouble, message, hook.plugin, name, exc_info=True)
