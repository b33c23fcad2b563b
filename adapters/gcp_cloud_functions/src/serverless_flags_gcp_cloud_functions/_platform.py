"""The platform Google Cloud Functions: properties, shutdown signal, invocations."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from serverless_flags import Platform, hookimpl, signals
from serverless_flags_gcp_cloud_functions import NAME
from serverless_flags_gcp_cloud_functions._invocation import (
    MAX_ARGUMENTS,
    Readers,
)
from serverless_flags_gcp_cloud_functions._main_thread import run_on_main_thread
from serverless_flags_gcp_cloud_functions._uvicorn import (
    connect_abort,
    connect_shutdown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from serverless_flags import FlagSession, Invocation

_FORKS = "the server forks after the import, so a worker's first invocation connects"
_FIRST_GENERATION = "the 1st generation of Cloud Functions promises no SIGTERM"
_RELOADER = "the reloader of functions-framework --debug kills the serving process"
_NO_SERVER = "this version of uvicorn does not let its server be found"


class GcpCloudFunctions(Platform):
    """
    Functions under functions-framework: gunicorn, or uvicorn inside gunicorn.

    gunicorn's master imports your module and then forks the workers
    (functions_framework/_http/gunicorn.py, ``load``), which replace the master's signal
    handlers. So nothing starts or connects before a worker's first invocation.
    """

    name = NAME
    specificity = 20  # above Knative and plain Cloud Run, which share K_SERVICE
    will_fork = True
    shutdown_grace = 2.0
    """Seconds: Google gives 10, of which the server may need many to drain."""
    passing_exceptions = ("functions_framework.exceptions.RequestTimeoutException",)
    """A timer raises it into a request's thread (functions_framework/
    request_timeout.py); gunicorn's own timeouts end the worker by SystemExit."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.function_name = (
            environ.get("K_SERVICE")
            or environ.get("FUNCTION_TARGET")
            or environ.get("FUNCTION_NAME")
        )
        self._is_first_generation = _is_first_generation(environ)
        self._timeout = _timeout(environ)
        self._readers = Readers()

    @hookimpl
    def connect_instance(self, session: FlagSession, at: str) -> bool | str:
        """
        Connect every way in which this worker's server can shut down.

        ==================  ================================  =====================
        server              at SIGTERM                        after the last answer
        ==================  ================================  =====================
        gunicorn            handler; in gthread from the      ``atexit``
                            next heartbeat on, in 1 s
        uvicorn             handler                           ``Server.shutdown``
        ``--debug``, Flask  killed: every invocation flushes  -
        ==================  ================================  =====================
        """
        if at != "first_invocation":
            return _FORKS
        drains = connect_shutdown()
        handles_sigterm = self._connect_signals(session) or run_on_main_thread(
            lambda: self._connect_signals(session)
        )
        if self._is_first_generation:
            return _FIRST_GENERATION
        if "WERKZEUG_RUN_MAIN" in os.environ:
            return _RELOADER
        return drains or handles_sigterm or _runs_atexit() or _NO_SERVER

    def _connect_signals(self, session: FlagSession) -> bool:
        """Install signal handlers; return False off the main thread."""
        if not signals.connect_sigterm(session, grace=self.shutdown_grace):
            return False
        if self._timeout is not None:
            connect_abort()
        return True

    @hookimpl
    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """
        Read the request, the event or the event's context.

        It is the last argument, unless decorators inject others or pass it by keyword.
        """
        arguments: Iterable[Any] = reversed(args)
        if kwargs or len(args) > MAX_ARGUMENTS:
            given = (*kwargs.values(), *args)
            arguments = reversed(given[-MAX_ARGUMENTS:])
        timeout = self._timeout
        return self._readers.read(
            arguments, None if timeout is None else _countdown(timeout)
        )


def _is_first_generation(environ: Mapping[str, str]) -> bool:
    """
    Return whether this is the 1st generation, which documents no SIGTERM.

    Only the 2nd, a Cloud Run service, has ``K_CONFIGURATION`` (firebase-functions, pull
    request 930). On your machine there is no ``K_SERVICE`` either.
    """
    if environ.get("K_CONFIGURATION"):
        return False
    oldest = "FUNCTION_NAME" in environ and "GCP_PROJECT" in environ
    return oldest or "K_SERVICE" in environ


def _runs_atexit() -> bool:
    """Return whether this process runs ``atexit``: uvicorn ends by its signal."""
    return "uvicorn.server" not in sys.modules


def _timeout(environ: Mapping[str, str]) -> float | None:
    """Return the service's request timeout in seconds, or None if it is unknown."""
    try:
        return float(environ.get("CLOUD_RUN_TIMEOUT_SECONDS", "")) or None
    except ValueError:
        return None


def _countdown(seconds: float) -> Callable[[], float]:
    """Return a function that returns how many of ``seconds`` are left."""
    deadline = time.monotonic() + seconds
    return lambda: deadline - time.monotonic()
