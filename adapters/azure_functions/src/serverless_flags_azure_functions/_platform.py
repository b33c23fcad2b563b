"""The platform Azure Functions: properties, shutdown signal, invocations."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serverless_flags import Invocation, Platform, hookimpl, signals
from serverless_flags_azure_functions import NAME
from serverless_flags_azure_functions._invocation import (
    MAX_ARGUMENTS,
    find_invocation_id,
    find_request,
    read_context,
)
from serverless_flags_azure_functions._loop import wake_loop_again, wake_loop_at_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, FunctionType

    from serverless_flags import FlagSession

_WRONG_ORDER = """\
the flag session's decorator stands above a decorator of the function app, which \
registers what is below it: Azure Functions would never call the wrapper. Move it \
next to the function:

    @app.route(route="hello")
    @flags.wrap
    def hello(req): ...
"""


_OFF_MAIN_THREAD = (
    "the function app was not imported on the main thread, and Python installs a"
    " SIGTERM handler nowhere else"
)
_NO_ARGUMENTS: Mapping[str, Any] = Invocation().kwargs


class AzureFunctions(Platform):
    """
    One worker process of a function app.

    The host starts it by exec, never by fork. It imports your module on its main thread
    while the event loop runs, calls ``def`` functions on a thread pool and awaits
    ``async def`` functions on that loop. It is not known to be frozen, and may end at
    any time. It raises no exception into a running function: at ``functionTimeout`` the
    host ends the process (azure_functions_runtime/handle_event.py).
    """

    name = NAME
    specificity = 10
    runs_between_invocations = True
    shutdown_grace = 2.0
    """Seconds. No grace period of the worker is documented. App Service kills a
    container 5 s after SIGTERM (``WEBSITES_CONTAINER_STOP_TIME_LIMIT``), Container Apps
    after 30 s (``terminationGracePeriodSeconds``), and the host needs part of that."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.function_name = (
            environ.get("WEBSITE_SITE_NAME")
            or environ.get("CONTAINER_APP_NAME")
            or None
        )
        self._authenticates = environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"

    @hookimpl
    def prepare_function(self, func: Callable[..., Any], wrapper: FunctionType) -> None:
        """Refuse the wrong order of decorators; keep ``func``'s directory."""
        if _is_function_builder(func):
            raise TypeError(_WRONG_ORDER)
        code = _code_of(func)
        if code is not None:
            # The worker derives context.function_directory from inspect.getfile(). The
            # name of a file that does not exist there prevents tracebacks from showing
            # lines of your file for the wrapper's.
            path = Path(code.co_filename).parent / "<serverless_flags>"
            wrapper.__code__ = wrapper.__code__.replace(co_filename=str(path))

    @hookimpl
    def connect_instance(self, session: FlagSession) -> bool | str:
        """
        Connect SIGTERM, which reaches the worker on Linux plans.

        The host's ``WorkerTerminate`` message does not reach it: the host sends that to
        workers with a capability that Python's lacks (GrpcWorkerChannel.cs). From
        Python 3.15 on, the worker imports your module off the main thread, where no
        handler can be installed; then every invocation ends with a flush.
        """
        if not signals.connect_sigterm(session, grace=self.shutdown_grace):
            return _OFF_MAIN_THREAD
        wake_loop_at_signals()
        return True

    @hookimpl
    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """
        Read the arguments: the bindings by their names, and those of decorators.

        The worker passes its ``context`` to functions that declare it. The remaining
        time is unknown (``functionTimeout`` is the host's).
        """
        # Invocation(...) would take twice as long, and every call makes one
        return tuple.__new__(
            Invocation,
            (
                find_invocation_id(args, kwargs),
                None,
                partial(self._evaluation_context, args, kwargs),
                (),
                _NO_ARGUMENTS,
            ),
        )

    @hookimpl
    def after_refresh(self) -> None:
        """
        Let signals wake the loop again, because a function may have replaced the fd.

        At the end of each invocation it would take a tenth of the wrapper's time.
        """
        wake_loop_again()

    def _evaluation_context(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        request = find_request((*kwargs.values(), *args)[:MAX_ARGUMENTS])
        if request is None:
            return {}
        return read_context(request, authenticated=self._authenticates)


def _code_of(func: Any) -> CodeType | None:
    """Return the code that a call of ``func`` runs, of a function or an object."""
    while isinstance(func, partial):
        func = func.func
    called = func if hasattr(func, "__code__") else type(func).__call__
    return getattr(called, "__code__", None)


def _is_function_builder(func: object) -> bool:
    """Recognise the result of a function app's decorator, without importing it."""
    return any(
        base.__name__ == "FunctionBuilder" and base.__module__.startswith("azure.")
        for base in type(func).__mro__
    )
