"""The platform AWS Lambda: its properties, its shutdown signal, its invocations."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from serverless_flags import Invocation, Platform, hookimpl, signals
from serverless_flags_aws_lambda import NAME
from serverless_flags_aws_lambda._context import read_context, read_first_context
from serverless_flags_aws_lambda._extension import (
    Registration,
    RegistrationOutcome,
    register_once,
    register_without_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags import FlagSession
    from serverless_flags_aws_lambda._after_response import AfterResponse

_OFF_MAIN_THREAD = (
    "the handler was wrapped off the main thread, and Python installs a SIGTERM"
    " handler nowhere else"
)
_NO_ARGUMENTS: Mapping[str, Any] = Invocation().kwargs


class AwsLambda(Platform):
    """
    One execution environment of a Lambda function.

    Lambda freezes it between invocations. It sends SIGTERM before it ends the
    environment only if an extension was registered while the handler's module was
    imported.
    """

    name = NAME
    specificity = 10
    starts_client_at_wrap = True
    awaits_handlers = False
    shutdown_grace = 0.3
    """Seconds: of the 500 ms of the Shutdown phase, 300 remain if there is an external
    extension."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.runtime_api = environ["AWS_LAMBDA_RUNTIME_API"]
        kind = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        # Managed Instances run several worker processes, which are forked before the
        # import of the handler's module, and are never frozen.
        self.runs_between_invocations = (
            kind == "lambda-managed-instances"
            or "AWS_LAMBDA_MAX_CONCURRENCY" in environ
        )
        self._takes_snapshot = kind == "snap-start"

    @hookimpl
    def connect_instance(self, session: FlagSession, at: str) -> bool | str | None:
        """Register an extension, so that Lambda sends SIGTERM, and handle it."""
        if at != "wrap":  # too late to register
            signals.repair()  # the rest of Init may have replaced the handler
            return None
        if self._takes_snapshot:
            from serverless_flags_aws_lambda._snapstart import connect_snapshot

            connect_snapshot(session)
            self._takes_snapshot = False  # a restored copy must not connect again
        if not signals.watch_sigterm(session, grace=self.shutdown_grace):
            return _OFF_MAIN_THREAD
        registration = register_once(self._register, self.runtime_api)
        # Of several workers, the API accepts the first and refuses the others, but all
        # of them receive SIGTERM: on Managed Instances a refusal is no failure.
        refused = registration.outcome is RegistrationOutcome.REFUSED
        if refused and self.runs_between_invocations:
            return True
        return registration.is_accepted or registration.why_not

    def _register(self, api: str) -> Registration:
        return register_without_events(api)

    @hookimpl
    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """Read ``(event, context)``; decorators and tests may pass other arguments."""
        event, context = args if len(args) == 2 else (None, None)  # noqa: PLR2004  reason: the event and the context
        request_id = getattr(context, "aws_request_id", None)
        read = partial(read_context, event)
        if not isinstance(request_id, str):
            from serverless_flags_aws_lambda._arguments import find_arguments

            events, context = find_arguments(args, kwargs)
            request_id = getattr(context, "aws_request_id", None)
            read = partial(read_first_context, events)
        has_deadline = hasattr(context, "get_remaining_time_in_millis")
        # Invocation(...) would take twice as long, and every call makes one
        return tuple.__new__(
            Invocation,
            (
                request_id if isinstance(request_id, str) else None,
                partial(_remaining_time, context) if has_deadline else None,
                read,
                (),
                _NO_ARGUMENTS,
            ),
        )


class AwsLambdaAfterResponse(AwsLambda):
    """An environment that works on after each response, until its requests end."""

    _extensions: ClassVar[dict[int, AfterResponse]] = {}
    """By process id: all sessions share one, and a forked child has none."""

    def _register(self, api: str) -> Registration:
        """Register for INVOKE, or without events where that is refused."""
        from serverless_flags_aws_lambda._after_response import AfterResponse

        extension = AfterResponse(api)
        registration = extension.register()
        if not registration.is_accepted:
            return super()._register(api)
        self._extensions[os.getpid()] = extension
        return registration

    @hookimpl
    def begin_invocation(self, invocation: Invocation) -> None:
        """Make the extension wait for the end of the invocation."""
        extension = self._extensions.get(os.getpid())
        if extension is not None:
            extension.begin(invocation.id)

    @hookimpl
    def wait_after_response(
        self, invocation: Invocation, wait: Callable[[float], bool]
    ) -> bool:
        """Pass ``wait`` to the extension; Managed Instances need none."""
        extension = self._extensions.get(os.getpid())
        if extension is None:
            return self.runs_between_invocations
        return extension.accept_wait(invocation.id, wait)

    @hookimpl
    def end_invocation(self, invocation: Invocation) -> None:
        """Record the end of the invocation, for which the extension waits."""
        extension = self._extensions.get(os.getpid())
        if extension is not None:
            extension.end(invocation.id)


def _remaining_time(context: Any) -> float:
    """Return the seconds until the function timeout; infinity for a mock."""
    milliseconds = context.get_remaining_time_in_millis()
    known = isinstance(milliseconds, (int, float))
    return milliseconds / 1000 if known else math.inf
