"""Knative Serving for serverless-flags: WSGI functions, SIGTERM, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags import FlagSession, Invocation, Platform, hookimpl, signals

if TYPE_CHECKING:
    from collections.abc import Mapping


class Knative(Platform):
    """A container that Knative ends with SIGTERM, long before it kills it."""

    name = "knative"
    specificity = 10
    shutdown_grace = 5.0

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.function_name = environ["K_SERVICE"]

    @hookimpl
    def connect_instance(self, session: FlagSession) -> bool:
        """Flush at SIGTERM and at exit, whichever the server lets happen."""
        return signals.connect_sigterm(session, grace=self.shutdown_grace)

    @hookimpl
    def read_invocation(self, args: tuple[Any, ...]) -> Invocation:
        """Read the WSGI environ; the ingress gives each request an identifier."""
        return Invocation(id=args[0].get("HTTP_X_REQUEST_ID"))


@hookimpl
def detect_platform(environ: Mapping[str, str]) -> Platform | None:
    """Leave ``FUNCTION_TARGET`` to the adapter of Google Cloud Functions."""
    knative = "K_SERVICE" in environ and "FUNCTION_TARGET" not in environ
    return Knative(environ) if knative else None
