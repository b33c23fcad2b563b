"""The hooks of adapters and observers, in the order of an instance's life.

An implementation may take fewer arguments than its specification lists; that is how
arguments can be added for ever. Hook wrappers are refused: a hook of the hot path is
bound once and called without pluggy's loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from serverless_flags._status import Status
    from serverless_flags.platform import Invocation, Platform

    class Session(Protocol):
        """What hooks use of a `FlagSession`."""

        @property
        def status(self) -> Status:
            """What it knows of itself."""

        def start(self, timeout: float | None = None) -> None:
            """Start it, unless it was started."""

        def flush(self, timeout: float | None = None) -> bool:
            """Send the counts."""

        def terminate(self, timeout: float) -> None:
            """Flush, for the platform has announced the end."""

        def close(self, timeout: float) -> bool:
            """Flush for the last time."""

        def renew(self) -> None:
            """Begin anew in a copy of the process."""


PROJECT = "serverless_flags"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function or a method as the implementation of the hook of its name."""


class HookSpecs:
    """The specification; adding arguments is allowed, renaming is not."""

    @hookspec
    def detect_platform(self, environ: Mapping[str, str]) -> Platform | None:
        """
        Return a platform if this process is yours; called once per session.

        Look at nothing but ``environ``, and import nothing heavy: every adapter that
        is installed may be asked, also on another cloud.
        """

    @hookspec
    def prepare_function(
        self, func: Callable[..., Any], wrapper: Callable[..., Any]
    ) -> None:
        """
        Check what is wrapped or adjust the wrapper; called once per ``wrap``.

        Raise a ``TypeError`` that shows the cure when the platform would bypass or
        break the wrapper. It is the one exception that reaches the user.
        """

    @hookspec
    def connect_instance(
        self, session: Session, platform: Platform, at: str
    ) -> bool | str | None:
        """
        Connect the platform's signals; called once per process for each ``at``.

        ``at`` is ``"wrap"`` (while the user's module is imported) or
        ``"first_invocation"``. Return True when the session will be told of the
        instance's end, or a text that says why not. As long as no call has returned
        True, every invocation ends with a flush.
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
        Take over the waiting; called once per invocation that has requests under way.

        Return True only if this process certainly goes on after the response until
        ``wait(timeout)`` has returned: True when all is done, False after ``timeout``
        seconds. Otherwise the invocation waits before its response.
        """

    @hookspec
    def end_invocation(self, invocation: Invocation) -> None:
        """Repair the process; called once per invocation, on the handler's thread."""

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
        Let go of the process; called once per process, after the last flush.

        ``reason`` is ``"signal"`` when the platform had announced the end, else
        ``"close"``.
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
