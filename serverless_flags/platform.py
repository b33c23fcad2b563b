"""What a platform is and what an invocation is: facts, standard library only."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Platform:
    """
    Facts about the platform that runs this process.

    An adapter subclasses it, states what differs from the defaults and adds
    ``@hookimpl`` methods. The elected object is registered as a plugin itself, so
    state that belongs to the process may live on it. No attribute may be a property
    with effects: registering a plugin reads them all.
    """

    name: str = "local"
    """The platform's one word: OpenTelemetry's ``cloud.platform`` where it has one."""

    specificity: int = 0
    """Which platform wins when several recognise the process: the highest."""

    function_name: str | None = None
    """The function's name as the platform knows it; the default of ``app_name``."""

    runs_between_invocations: bool = False
    """Whether threads make progress while no invocation is running."""

    starts_client_at_wrap: bool = False
    """Whether the session starts while the user's module is imported."""

    will_fork: bool = False
    """Whether the process that imports the user's module forks before it serves."""

    awaits_handlers: bool = True
    """Whether the runtime awaits ``async def`` handlers itself."""

    ends_in_order: bool = False
    """Whether the process ends through the interpreter's exit, so that ``atexit`` runs
    at its end; SIGTERM is connected besides."""

    shutdown_grace: float = 1.0
    """Seconds that a flush may take after the platform's termination signal."""

    passing_exceptions: tuple[str, ...] = ()
    """Exceptions that the runtime raises into a running function, such as a request
    timeout: qualified names (``package.module.Class``), so that nothing is imported.
    They always reach the caller, even out of a plugin, a callback or a strategy."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Local(Platform):
    """The fallback when no adapter recognises the process: a laptop, a test, a job."""

    runs_between_invocations = True
    ends_in_order = True
    shutdown_grace = 2.0


class Invocation(NamedTuple):
    """
    One call of the user's function, as the platform describes it.

    What the platform does not say is None, never invented: an invented ``sessionId``
    would change gradual rollouts. A tuple, because one is made for every call, and a
    frozen dataclass takes five times as long.
    """

    id: str | None = None
    """The platform's identifier of this call."""

    remaining_time: Callable[[], float] | None = None
    """Seconds until the platform ends this call; None when it sets no limit."""

    context: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = _NOTHING
    """Unleash's evaluation context: ``userId``, ``sessionId``, ``remoteAddress``,
    ``properties``. A callable is called at most once, at the first evaluation."""

    args: tuple[Any, ...] = ()
    """The function's positional arguments, filled in by the session."""

    kwargs: Mapping[str, Any] = _NOTHING
    """The function's keyword arguments, filled in by the session."""


NOTHING_KNOWN = Invocation()
"""An invocation of which the platform says nothing."""
