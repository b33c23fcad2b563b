"""Facts and signals of Google Cloud Functions, as functions-framework runs them."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from serverless_flags import Platform, hookimpl, signals
from serverless_flags_gcp_cloud_functions import NAME
from serverless_flags_gcp_cloud_functions._invocations import (
    MOST_ARGUMENTS,
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

_FORKS = "the server forks after the import, a worker's first invocation connects"
_FIRST_GENERATION = "the 1st generation of Cloud Functions promises no SIGTERM"
_RELOADER = "the reloader of functions-framework --debug kills the serving process"
_NO_SERVER = "this version of uvicorn does not let its server be found"


class GcpCloudFunctions(Platform):
    """
    Functions under functions-framework: gunicorn, or uvicorn inside gunicorn.

    The user's module is imported in gunicorn's master and the workers are forked
    afterwards (functions_framework/_http/gunicorn.py, ``load``). So nothing is started
    or connected before a worker's first invocation: gunicorn overwrites the master's
    signal handlers in each worker.
    """

    name = NAME
    specificity = 20  # above Knative and plain Cloud Run, which share K_SERVICE
    will_fork = True
    shutdown_grace = 2.0  # of Google's 10, of which a draining server may take many
    # raised into a request's thread by its timer (functions_framework/
    # request_timeout.py); gunicorn's own timeouts end the worker by SystemExit
    passing_exceptions = ("functions_framework.exceptions.RequestTimeoutException",)

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
        Connect the ends that this worker's server can have.

        ==================  ================================  =====================
        server              at SIGTERM                        after the last answer
        ==================  ================================  =====================
        gunicorn            handler; in gthread from the      ``atexit``
                            next heartbeat on, in 1 s
        uvicorn             handler                           ``Server.shutdown``
        ``--debug``, Flask  killed: every invocation flushes  (no such moment)
        ==================  ================================  =====================
        """
        if at != "first_invocation":
            return _FORKS
        drains = connect_shutdown()
        heard = self._connect_signals(session) or run_on_main_thread(
            lambda: self._connect_signals(session)
        )
        if self._is_first_generation:
            return _FIRST_GENERATION
        if "WERKZEUG_RUN_MAIN" in os.environ:
            return _RELOADER
        return drains or heard or _runs_atexit() or _NO_SERVER

    def _connect_signals(self, session: FlagSession) -> bool:
        """Install handlers; False off the main thread."""
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
        Read the request, the event or its context, wherever it stands.

        It is the last argument, unless decorators inject others or give it a name.
        """
        arguments: Iterable[Any] = reversed(args)
        if kwargs or len(args) > MOST_ARGUMENTS:
            given = (*kwargs.values(), *args)
            arguments = reversed(given[-MOST_ARGUMENTS:])
        timeout = self._timeout
        return self._readers.read(
            arguments, None if timeout is None else _countdown(timeout)
        )


def _is_first_generation(environ: Mapping[str, str]) -> bool:
    """
    Tell the 1st generation, for which no source promises a SIGTERM.

    Only the 2nd, a Cloud Run service, has ``K_CONFIGURATION`` (firebase-functions, pull
    request 930); on a laptop there is no ``K_SERVICE`` either.
    """
    if environ.get("K_CONFIGURATION"):
        return False
    oldest = "FUNCTION_NAME" in environ and "GCP_PROJECT" in environ
    return oldest or "K_SERVICE" in environ


def _runs_atexit() -> bool:
    """Tell whether this process ends in good order: uvicorn ends by its signal."""
    return "uvicorn.server" not in sys.modules


def _timeout(environ: Mapping[str, str]) -> float | None:
    """Return the service's request timeout in seconds, None when it is not known."""
    try:
        return float(environ.get("CLOUD_RUN_TIMEOUT_SECONDS", "")) or None
    except ValueError:
        return None


def _countdown(seconds: float) -> Callable[[], float]:
    """Return the seconds that are left, counted from now."""
    deadline = time.monotonic() + seconds
    return lambda: deadline - time.monotonic()
