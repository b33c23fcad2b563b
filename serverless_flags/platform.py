"""What a platform is and what an invocation is: values that adapters state."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["Invocation", "Platform"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Platform:
    """
    Facts about the platform that runs this process.

    An adapter subclasses it, sets the attributes that differ from the defaults and
    adds ``@hookimpl`` methods. The session registers the chosen object as a plugin, so
    you may keep state of the process on it. No attribute may be a property with side
    effects, because registering a plugin reads them all. An attribute of a wrong type
    is replaced by its default, with one warning.
    """

    name: str = "local"
    """The platform's name in one word: OpenTelemetry's ``cloud.platform`` where it
    defines one; otherwise yours."""

    specificity: int = 0
    """The priority when several adapters recognise the process: the highest wins. The
    adapters of this project have 10."""

    function_name: str | None = None
    """The function's name on the platform, the default of ``app_name``; None when the
    platform does not tell it."""

    runs_between_invocations: bool = False
    """Whether threads run while no invocation does, because the platform does not
    freeze the process. If so, no invocation waits at its end for a refresh."""

    starts_client_at_wrap: bool = False
    """Whether ``wrap`` starts the session, while your module is imported; otherwise
    the first invocation does."""

    will_fork: bool = False
    """Whether the process that imports your module forks before it serves. Until its
    first invocation such a process does not start a session to evaluate a flag."""

    awaits_handlers: bool = True
    """Whether the runtime awaits ``async def`` functions itself. If not, ``wrap`` runs
    them on an event loop of the calling thread."""

    ends_in_order: bool = False
    """Whether the interpreter exits normally whenever the process ends without a
    signal, so that ``atexit`` runs. If so, and no hook has connected a shutdown signal,
    the session connects SIGTERM itself."""

    shutdown_grace: float = 1.0
    """Seconds that the last flush may take after the platform's shutdown signal; from
    0 to 604,800, a week."""

    passing_exceptions: tuple[str, ...] = ()
    """Exceptions that the runtime raises in a running function, such as a request
    timeout: qualified names (``package.module.Class``), so that nothing is imported.
    The session never catches them, not even when they are raised in a plugin, a
    callback or a custom strategy."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Local(Platform):
    """The fallback when no adapter recognises the process: a laptop, a test, a job."""

    runs_between_invocations = True
    ends_in_order = True
    shutdown_grace = 2.0


class Invocation(NamedTuple):
    """
    One call of your function, as the platform describes it.

    An adapter leaves out what the platform does not tell and never invents it: an
    invented ``sessionId`` would change gradual rollouts. It is a tuple because the
    session makes one for every call, and a frozen dataclass takes five times as long.
    """

    id: str | None = None
    """The platform's identifier of this call; None when it has none."""

    remaining_time: Callable[[], float] | None = None
    """A function that returns the seconds until the platform ends this call; None when
    the platform sets no limit."""

    context: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = _NOTHING
    """Unleash's evaluation context (``userId``, ``remoteAddress``, ``properties``), or
    a function that returns it: it is called at most once, at the first evaluation."""

    args: tuple[Any, ...] = ()
    """The positional arguments of the call; the session fills them in."""

    kwargs: Mapping[str, Any] = _NOTHING
    """The keyword arguments of the call; the session fills them in."""


NOTHING_KNOWN = Invocation()
"""An invocation of which the platform says nothing."""
