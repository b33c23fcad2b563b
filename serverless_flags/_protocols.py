"""The port every flag client fills; nothing else in the core knows a vendor.

Here, as wherever a cold start passes, values are named tuples, for to define a frozen
dataclass takes 0.3 ms and more, and constants no enumerations, which take 0.15. Modules
of named tuples import no ``annotations`` from the future: they would compile each text,
10 us a field.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

DISABLED: "Variant" = {"name": "disabled", "enabled": False, "feature_enabled": False}
"""The variant that UnleashClient returns for a flag that is off or unknown."""


NO_FLAGS = '{"version": 2, "features": []}'
"""The state of a session whose flags have expired."""


class Outcome:
    """What became of a request; constants."""

    TAKEN = "taken"
    """The server answered 2xx."""
    NOT_DELIVERED = "not delivered"
    """It was not written whole, or the server did not take it."""
    UNKNOWN = "unknown"
    """It was written and perhaps taken: no answer, or a gateway's."""


class Fetched(NamedTuple):
    """The answer to one request for flags."""

    body: str | None = None
    """The new state; None when it is unchanged or could not be had."""

    unchanged: bool = False
    etag: str | None = None
    error: str | None = None
    """Why there is no answer, for people; it never holds the token."""

    retry_after: float | None = None
    """Seconds that the server asked to be left alone."""


class Sent(NamedTuple):
    """The answer to one request with counts."""

    outcome: str
    """One of `Outcome`."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None


if TYPE_CHECKING:  # to define two protocols takes 0.3 ms
    from typing import Protocol, TypeGuard

    from serverless_flags.types import FlagClient, Variant

    class StateClient(FlagClient, Protocol):
        """A client whose state the session brings and whose counts it takes."""

        def load_state(self, body: str) -> None:
            """Evaluate from ``body`` from now on; a ValueError says why not."""

        def drain_counts(self) -> dict[str, Any] | None:
            """Return what was counted since the last call, None when nothing was."""

    class Upstream(Protocol):
        """The server behind a `StateClient`; one call is one bounded request."""

        def fetch(self, etag: str | None, *, timeout: float) -> Fetched:
            """Ask for the flags unless they are still those of ``etag``."""

        def send(
            self, bucket: Mapping[str, Any], *, timeout: float, exiting: bool = False
        ) -> Sent:
            """
            Send counts; never twice, whatever happens.

            ``exiting``: the interpreter exits and this is its main thread, so nothing
            without a deadline may run: no name is resolved, no callable of the user's
            is called. What cannot be sent without them is refused.
            """

        def close(self) -> None:
            """Let go of the connection."""


def keeps_state(client: object) -> "TypeGuard[StateClient]":
    """Whether the session brings a client's state and takes its counts."""
    return hasattr(client, "load_state") and hasattr(client, "drain_counts")


class Backend:
    """
    How a session gets its client; made cheaply, before anything is imported.

    Args:
        load: imports and builds the client; called once per process, while the network
            works.
        upstream: where the state comes from; None when the client looks after itself.
        read_snapshot: reads a snapshot file.
        count_flags: how many flags a state holds; None when it does not say.
    """

    __slots__ = ("count_flags", "load", "read_snapshot", "upstream")

    def __init__(
        self,
        load: Callable[[], "FlagClient"],
        upstream: "Upstream | None" = None,
        read_snapshot: Callable[[str], Fetched] | None = None,
        count_flags: Callable[[str], int | None] | None = None,
    ) -> None:
        self.load, self.upstream = load, upstream
        self.read_snapshot, self.count_flags = read_snapshot, count_flags


class ClosedClient:
    """
    A flag client after the end: it answers, and nothing sends what it counts.

    Args:
        client: answers.
        note: called for each evaluation, with ``counted``: whether the client counts
            it itself, so that the status can ask the client for it.
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
        """Names that were asked for and that the flag state does not have."""
        return tuple(getattr(self._client, "unknown_flags", ()))

    @property
    def uncounted(self) -> int:
        """Evaluations that the client has answered and not counted."""
        return int(getattr(self._client, "uncounted", 0))
