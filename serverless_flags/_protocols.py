"""
The protocols between the session and its flag clients, without a vendor's types.

In modules that a cold start imports, values are plain classes or named tuples, because
defining a frozen dataclass takes 0.3 ms and more, a named tuple 0.15 ms, and constants
are no enumerations, which take as long. Modules of named tuples do not import
``annotations`` from ``__future__``: named tuples compile each annotation that is a
string, at 10 us per field.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

DISABLED: "Variant" = {"name": "disabled", "enabled": False, "feature_enabled": False}
"""The variant that UnleashClient returns for a flag that is off or unknown."""


FIELDS = frozenset(
    {
        "userId",
        "sessionId",
        "environment",
        "appName",
        "currentTime",
        "remoteAddress",
        "properties",
    }
)
"""Unleash's standard fields (``UnleashClient._context.BASE_CONTEXT_FIELDS``). Any other
name is a custom field, at the top level as among the ``properties``."""

NO_FLAGS = '{"version": 2, "features": []}'
"""The body that a client evaluates once the flags have expired."""


class Outcome:
    """The outcome of a request, as constants."""

    TAKEN = "taken"
    """The server answered 2xx."""
    NOT_DELIVERED = "not delivered"
    """The request was not sent completely, or the server did not accept it."""
    UNKNOWN = "unknown"
    """The server may have processed it: no answer, or a gateway's."""


class _Value:
    """Is equal to a value of the same class with the same attributes."""

    __slots__: tuple[str, ...] = ()
    __hash__ = None  # type: ignore[assignment]  # reason: how Python spells it

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({shown})"


class Fetched(_Value):
    """
    The answer to one request for flags.

    Args:
        body: the new flags; None when they are unchanged or the request failed.
        unchanged: whether the server answered that they are.
        etag: of the flags.
        error: why the request failed, for the log; it never contains the token.
        retry_after: seconds to wait before the next request, as the server demanded.
    """

    __slots__ = ("body", "error", "etag", "retry_after", "unchanged")

    def __init__(
        self,
        body: str | None = None,
        *,
        unchanged: bool = False,
        etag: str | None = None,
        error: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.body, self.unchanged, self.etag = body, unchanged, etag
        self.error, self.retry_after = error, retry_after


class Sent(_Value):
    """
    The answer to one request with counts.

    Args:
        outcome: one of `Outcome`.
        status: the server's, if it has answered.
        error: why the counts were not accepted, for the log.
        retry_after: seconds to wait before the next request, as the server demanded.
    """

    __slots__ = ("error", "outcome", "retry_after", "status")

    def __init__(
        self,
        outcome: str,
        status: int | None = None,
        error: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.outcome, self.status = outcome, status
        self.error, self.retry_after = error, retry_after


if TYPE_CHECKING:  # to define two protocols takes 0.3 ms
    from typing import Protocol, TypeGuard

    from serverless_flags.types import FlagClient, Variant

    class StateClient(FlagClient, Protocol):
        """A client that gets its flags from the session and gives it its counts."""

        @property
        def flag_count(self) -> int | None:
            """How many flags the last state has; None when the client cannot tell."""

        def load_state(self, body: str) -> None:
            """Evaluate ``body`` from now on; raises ValueError when it is unusable."""

        def drain_counts(self) -> dict[str, Any] | None:
            """Return the counts since the last call; None when there are none."""

    class Upstream(Protocol):
        """The server of a `StateClient`; each call is one request with a timeout."""

        flush_interval: float
        """Seconds between flushes that are in effect; the session sets it. 0: each
        invocation ends with one."""

        def fetch(self, etag: str | None, *, timeout: float) -> Fetched:
            """Request the flags, unless they are still those of ``etag``."""

        def send(
            self, bucket: Mapping[str, Any], *, timeout: float, exiting: bool = False
        ) -> Sent:
            """
            Send counts; never twice, whatever happens.

            ``exiting``: this is the main thread of an interpreter that exits, so
            nothing without a deadline may run: the host name is not resolved, and the
            user's callable is not called. Counts that cannot be sent without them are
            not delivered.
            """

        def close(self) -> None:
            """Close the connection."""


def keeps_state(client: object) -> "TypeGuard[StateClient]":
    """Whether a client gets its flags from the session and gives it its counts."""
    return hasattr(client, "load_state") and hasattr(client, "drain_counts")


class Backend:
    """
    How a session gets its client; cheap to create, before anything is imported.

    Args:
        load: imports and creates the client; called once per process, while the first
            request is under way.
        upstream: the server; None when the client refreshes its flags itself.
        read_snapshot: reads a snapshot file.
    """

    __slots__ = ("load", "read_snapshot", "upstream")

    def __init__(
        self,
        load: Callable[[], "FlagClient"],
        upstream: "Upstream | None" = None,
        read_snapshot: Callable[[str], Fetched] | None = None,
    ) -> None:
        self.load, self.upstream = load, upstream
        self.read_snapshot = read_snapshot


class ClosedClient:
    """
    The flag client of a closed session: it evaluates, and no counts are sent.

    Args:
        client: evaluates.
        note: called for each evaluation, with ``counted``: whether the client counts
            it itself, so that the status can get the number from the client.
    """

    def __init__(self, client: "FlagClient", note: Callable[..., None]) -> None:
        self._client = client
        counted = keeps_state(client)
        self._note: Callable[[], None] = lambda: note(counted=counted)

    def is_enabled(self, *args: Any) -> bool:
        """Return whether the flag is on."""
        self._note()
        return self._client.is_enabled(*args)

    def get_variant(self, *args: Any) -> Mapping[str, Any]:
        """Return the flag's variant."""
        self._note()
        return self._client.get_variant(*args)

    @property
    def unknown_flags(self) -> tuple[str, ...]:
        """Names that were evaluated and that are not among the known flags."""
        return tuple(getattr(self._client, "unknown_flags", ()))

    @property
    def uncounted(self) -> int:
        """Evaluations that the client did not count."""
        return int(getattr(self._client, "uncounted", 0))
