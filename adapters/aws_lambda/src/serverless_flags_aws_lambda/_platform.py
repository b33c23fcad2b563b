"""AWS Lambda: its facts, its termination signal, its invocations."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from serverless_flags import Invocation, Platform, hookimpl, signals
from serverless_flags_aws_lambda._context import read_context
from serverless_flags_aws_lambda._extension import Registration, register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serverless_flags import FlagSession


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
        # Managed Instances: several worker processes, forked before the handler's
        # module is imported, and never frozen.
        self.runs_between_invocations = (
            environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "lambda-managed-instances"
            or "AWS_LAMBDA_MAX_CONCURRENCY" in environ
        )

    @hookimpl
    def connect_instance(self, session: FlagSession, at: str) -> bool | None:
        """Register an extension, so that SIGTERM is sent, and listen for it."""
        if at != "wrap":  # too late to register
            signals.rearm()  # the rest of Init may have taken the wakeup fd
            return None
        if not signals.watch_sigterm(session, grace=self.shutdown_grace):
            return False
        registration = register(self.runtime_api)
        # Of several workers the API accepts one and refuses the rest, yet SIGTERM
        # reaches them all: in Managed Instances a refusal means a worker was first.
        if self.runs_between_invocations and registration is Registration.REFUSED:
            return True
        return registration is Registration.ACCEPTED

    @hookimpl
    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """Read ``(event, context)``, the last two arguments; a test may give fewer."""
        if len(args) > 1:
            event, context = args[-2:]
        else:
            event = args[0] if args else kwargs.get("event")
            context = kwargs.get("context")
        request_id = getattr(context, "aws_request_id", None)
        has_deadline = hasattr(context, "get_remaining_time_in_millis")
        return Invocation(  # by position: it is made for every call
            request_id if isinstance(request_id, str) else None,
            partial(_remaining_time, context) if has_deadline else None,
            partial(read_context, event),
        )

    @hookimpl
    def end_invocation(self) -> None:
        """Take the wakeup fd back from the handler, whose event loop may hold it."""
        signals.rearm()


def _remaining_time(context: Any) -> float:
    """Seconds until the function timeout; no limit where a test has put a mock."""
    milliseconds = context.get_remaining_time_in_millis()
    known = isinstance(milliseconds, (int, float))
    return milliseconds / 1000 if known else math.inf
