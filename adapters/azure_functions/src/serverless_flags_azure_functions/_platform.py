"""Azure Functions: its facts, its termination signal, its invocations."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serverless_flags import Invocation, Platform, hookimpl, signals
from serverless_flags_azure_functions import NAME
from serverless_flags_azure_functions._loop import wake_loop_again, wake_loop_at_signals
from serverless_flags_azure_functions._invocation import (
    MOST_ARGUMENTS,
    find_invocation_id,
    find_request,
    read_context,
)

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
_NOTHING: Mapping[str, Any] = Invocation().kwargs


class AzureFunctions(Platform):
    """
    One worker process of a function app.

    The host starts it by exec, never by a fork, imports the user's module on its main
    thread while the event loop runs, calls ``def`` functions on a thread pool and
    awaits ``async def`` functions on that loop. Nothing is known to freeze it; any
    moment may end it. It raises nothing into a running function: ``functionTimeout`` is
    the host's, which ends the process (azure_functions_runtime/handle_event.py).
    """

    name = NAME
    specificity = 10
    runs_between_invocations = True
    shutdown_grace = 2.0
    """No grace of the worker's own is documented. App Service stops a container 5 s
    after SIGTERM (``WEBSITES_CONTAINER_STOP_TIME_LIMIT``), Container Apps after 30
    (``terminationGracePeriodSeconds``), and the host needs its share to drain."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.function_name = (
            environ.get("WEBSITE_SITE_NAME")
            or environ.get("CONTAINER_APP_NAME")
            or None
        )
        self._authenticates = environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"

    @hookimpl
    def prepare_function(self, func: Callable[..., Any], wrapper: FunctionType) -> None:
        """Refuse what the worker would bypass; leave the wrapper where ``func`` is."""
        if _is_function_builder(func):
            raise TypeError(_WRONG_ORDER)
        code = _code_of(func)
        if code is not None:
            # The worker takes context.function_directory from inspect.getfile(). A
            # file of that directory which nobody has keeps tracebacks honest: it names
            # us, and no line of the user's own file is shown for a line of ours.
            nowhere = Path(code.co_filename).parent / "<serverless_flags>"
            wrapper.__code__ = wrapper.__code__.replace(co_filename=str(nowhere))

    @hookimpl
    def connect_instance(self, session: FlagSession) -> bool | str:
        """
        Connect SIGTERM, which reaches the worker on Linux plans.

        The host's ``WorkerTerminate`` message does not: it is sent to workers that
        declare a capability which Python's lacks (GrpcWorkerChannel.cs). From Python
        3.15 on the module is imported on another thread than the main one, where no
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
        Read the arguments: the bindings by their names, and what decorators inject.

        The worker passes its ``context`` to functions that declare it. It does not
        say how much time is left (``functionTimeout`` is the host's).
        """
        # not Invocation(...), which takes twice as long: one is made for every call
        return tuple.__new__(
            Invocation,
            (
                find_invocation_id(args, kwargs),
                None,
                partial(self._evaluation_context, args, kwargs),
                (),
                _NOTHING,
            ),
        )

    @hookimpl
    def after_refresh(self) -> None:
        """
        Let signals wake the loop again: a function may have handled some itself.

        Not at the end of each invocation, where it would cost a tenth of the wrapper.
        """
        wake_loop_again()

    def _evaluation_context(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        request = find_request((*kwargs.values(), *args)[:MOST_ARGUMENTS])
        if request is None:
            return {}
        return read_context(request, authenticated=self._authenticates)


def _code_of(func: Any) -> CodeType | None:
    """Return the code that a call of ``func`` runs: a function's, an object's."""
    while isinstance(func, partial):
        func = func.func
    called = func if hasattr(func, "__code__") else type(func).__call__
    return getattr(called, "__code__", None)


def _is_function_builder(func: object) -> bool:
    """Recognise what a decorator of a function app returns, without importing it."""
    return any(
        base.__name__ == "FunctionBuilder" and base.__module__.startswith("azure.")
        for base in type(func).__mro__
    )
