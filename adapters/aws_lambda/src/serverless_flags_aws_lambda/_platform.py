"""AWS Lambda: its facts, its termination signal, its invocations."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from serverless_flags import Invocation, Platform, hookimpl, signals
from serverless_flags_aws_lambda._context import read_context, read_first_context
from serverless_flags_aws_lambda._extension import (
    Outcome,
    Registration,
    register_once,
    register_silently,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags import FlagSession
    from serverless_flags_aws_lambda._after_response import AfterResponse

_OFF_MAIN_THREAD = (
    "the handler was wrapped off the main thread, where nobody can handle SIGTERM"
)
_NOTHING: Mapping[str, Any] = Invocation().kwargs


class AwsLambda(Platform):
    """
    One execution environment of a Lambda function.

    It is frozen between invocations, and told of its end by SIGTERM only if an
    extension is registered before the import of the handler's module has ended.
    """

    name = "aws_lambda"
    specificity = 10
    starts_client_at_wrap = True
    awaits_handlers = False
    shutdown_grace = 0.3
    """Of the Shutdown phase's 500 ms an external extension may leave us 300."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.runtime_api = environ["AWS_LAMBDA_RUNTIME_API"]
        kind = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        # Managed Instances: several worker processes, forked before the handler's
        # module is imported, and never frozen.
        self.runs_between_invocations = (
            kind == "lambda-managed-instances"
            or "AWS_LAMBDA_MAX_CONCURRENCY" in environ
        )
        self._becomes_image = kind == "snap-start"

    @hookimpl
    def connect_instance(self, session: FlagSession, at: str) -> bool | str | None:
        """Register an extension, so that SIGTERM is sent, and listen for it."""
        if at != "wrap":  # too late to register
            signals.repair()  # the rest of Init may have taken SIGTERM
            return None
        if self._becomes_image:
            from serverless_flags_aws_lambda._snapstart import connect_image

            connect_image(session)
            self._becomes_image = False  # a copy is no image
        if not signals.watch_sigterm(session, grace=self.shutdown_grace):
            return _OFF_MAIN_THREAD
        registration = register_once(self._register, self.runtime_api)
        # Of several workers the API accepts one and refuses the rest, yet SIGTERM
        # reaches them all: in Managed Instances a refusal means a worker was first.
        refused = registration.outcome is Outcome.REFUSED
        if refused and self.runs_between_invocations:
            return True
        return registration.outcome is Outcome.ACCEPTED or registration.why_not

    def _register(self, api: str) -> Registration:
        return register_silently(api)

    @hookimpl
    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """Read ``(event, context)``; decorators and tests give more, or fewer."""
        event, context = args if len(args) == 2 else (None, None)  # noqa: PLR2004  reason: see above
        request_id = getattr(context, "aws_request_id", None)
        read = partial(read_context, event)
        if not isinstance(request_id, str):
            from serverless_flags_aws_lambda._arguments import find_arguments

            events, context = find_arguments(args, kwargs)
            request_id = getattr(context, "aws_request_id", None)
            read = partial(read_first_context, events)
        has_deadline = hasattr(context, "get_remaining_time_in_millis")
        # not Invocation(...), which takes twice as long: one is made for every call
        return tuple.__new__(
            Invocation,
            (
                request_id if isinstance(request_id, str) else None,
                partial(_remaining_time, context) if has_deadline else None,
                read,
                (),
                _NOTHING,
            ),
        )


class AwsLambdaAfterResponse(AwsLambda):
    """An instance that goes on after each response until its requests have ended."""

    _extensions: ClassVar[dict[int, AfterResponse]] = {}
    """By process: all sessions share one, and a forked child has none."""

    def _register(self, api: str) -> Registration:
        """Register for INVOKE; Managed Instances refuse that, and take no events."""
        from serverless_flags_aws_lambda._after_response import AfterResponse

        extension = AfterResponse(api)
        registration = extension.register()
        if registration.outcome is not Outcome.ACCEPTED:
            return super()._register(api)
        self._extensions[os.getpid()] = extension
        return registration

    @hookimpl
    def begin_invocation(self, invocation: Invocation) -> None:
        """Tell the extension for whose end it waits."""
        extension = self._extensions.get(os.getpid())
        if extension is not None:
            extension.begin(invocation.id)

    @hookimpl
    def wait_after_response(
        self, invocation: Invocation, wait: Callable[[float], bool]
    ) -> bool:
        """Let the extension wait; Managed Instances, never frozen, need none."""
        extension = self._extensions.get(os.getpid())
        if extension is None:
            return self.runs_between_invocations
        return extension.take(invocation.id, wait)

    @hookimpl
    def end_invocation(self, invocation: Invocation) -> None:
        """Let the extension go."""
        extension = self._extensions.get(os.getpid())
        if extension is not None:
            extension.end(invocation.id)


def _remaining_time(context: Any) -> float:
    """Seconds until the function timeout; no limit where a test has put a mock."""
    milliseconds = context.get_remaining_time_in_millis()
    known = isinstance(milliseconds, (int, float))
    return milliseconds / 1000 if known else math.inf
