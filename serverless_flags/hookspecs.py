"""
The hooks of adapters and observers, in the order of an instance's life.

An implementation may take fewer arguments than its specification lists, so that later
versions can add arguments. Hook wrappers are refused: the session binds each hook once
and calls it without pluggy's loop, because some are called in every invocation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags.platform import Invocation, Platform
    from serverless_flags.types import Session

__all__ = ["HookSpecs", "hookimpl"]

PROJECT = "serverless_flags"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function or method as the implementation of the hook of the same name."""


class HookSpecs:
    """The hooks with their arguments; later versions may add some, and rename none."""

    @hookspec
    def detect_platform(self, environ: Mapping[str, str]) -> Platform | None:
        """
        Return a platform if your adapter is for this process; called once per session.

        Look at nothing but ``environ``, and import nothing that takes long: every
        installed adapter may be called, on other clouds too.
        """

    @hookspec
    def prepare_function(
        self, func: Callable[..., Any], wrapper: Callable[..., Any]
    ) -> None:
        """
        Check the function or adjust the wrapper; called once per ``wrap``.

        Raise a ``TypeError`` whose message has the cure when the platform would bypass
        or break the wrapper. ``wrap`` raises it; exceptions of other types are logged.
        """

    @hookspec
    def connect_instance(
        self, session: Session, platform: Platform, at: str
    ) -> bool | str | None:
        """
        Connect the platform's shutdown signals; called once per process per ``at``.

        ``at`` is ``"wrap"`` (while your module is imported) or ``"first_invocation"``.
        Return True when the session will flush at the end of the instance, or a text
        that says why not. Until a call returns True, every invocation ends with a
        flush.
        """

    @hookspec
    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation | None:
        """Describe the invocation from its arguments; called once per invocation."""

    @hookspec
    def begin_invocation(self, invocation: Invocation) -> None:
        """Prepare the process; called once per invocation, on the handler's thread."""

    @hookspec
    def wait_after_response(
        self, invocation: Invocation, wait: Callable[[float], bool]
    ) -> bool | None:
        """
        Wait for requests after the response; called per invocation that has some.

        ``wait(timeout)`` waits at most ``timeout`` seconds and returns whether the
        requests have ended. Return True only if this process certainly runs until
        ``wait`` has returned; otherwise the invocation waits before its response.
        """

    @hookspec
    def end_invocation(self, invocation: Invocation) -> None:
        """Restore the process; called once per invocation, on the handler's thread."""

    @hookspec
    def after_refresh(self, session: Session, outcome: str, seconds: float) -> None:
        """
        Observe a refresh; called once per request for flags.

        ``outcome`` is ``"changed"``, ``"unchanged"`` or ``"failed"``.
        """

    @hookspec
    def after_flush(self, session: Session, outcome: str, seconds: float) -> None:
        """
        Observe a flush; called once per request with counts.

        ``outcome`` is ``"taken"``, ``"kept"``, ``"refused"`` or ``"unknown"``.
        """

    @hookspec
    def disconnect_instance(self, session: Session, reason: str) -> None:
        """
        Release what belongs to the process; called once per process, after the end.

        It follows the last flush. ``reason`` is ``"signal"`` when the platform has sent
        its shutdown signal, else ``"close"``.
        """

    @hookspec
    def emulate(
        self,
        platform_name: str,
        target: str,
        environ: Mapping[str, str],
        python: str,
        options: Mapping[str, str],
    ) -> object | None:
        """
        Return the local emulator of ``platform_name``; called by tests and tools only.

        It is a `serverless_flags.testing.Emulator`.

        ``target`` is ``path/to/module.py:function``; ``python`` the interpreter that
        runs the instance.
        """
