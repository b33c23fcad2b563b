"""A serverless-flags adapter for WSGI functions on Knative Serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags import FlagSession, Invocation, Platform, hookimpl, signals

if TYPE_CHECKING:
    from collections.abc import Mapping


class Knative(Platform):
    """A container that Knative ends with SIGTERM, and kills only much later."""

    name = "knative"
    specificity = 10
    shutdown_grace = 5.0

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.function_name = environ["K_SERVICE"]

    @hookimpl
    def connect_instance(self, session: FlagSession) -> bool:
        """Flush at SIGTERM or at the interpreter's exit, whichever comes first."""
        return signals.connect_sigterm(session, grace=self.shutdown_grace)

    @hookimpl
    def read_invocation(self, args: tuple[Any, ...]) -> Invocation:
        """Return the identifier that the ingress gives each request."""
        return Invocation(id=args[0].get("HTTP_X_REQUEST_ID"))


@hookimpl
def detect_platform(environ: Mapping[str, str]) -> Platform | None:
    """Recognise Knative; where FUNCTION_TARGET is set it is Google Cloud Functions."""
    knative = "K_SERVICE" in environ and "FUNCTION_TARGET" not in environ
    return Knative(environ) if knative else None
