"""
Types of public signatures, for your annotations; a running function needs none.

They are defined here and not where they are used, because to define protocols and
typed dictionaries takes time at each cold start: this module is imported only by those
who ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from serverless_flags._status import Status
    from serverless_flags.platform import Invocation

__all__ = [
    "ActiveInvocation",
    "FlagClient",
    "Session",
    "Terminable",
    "Variant",
    "VariantPayload",
]


class VariantPayload(TypedDict):
    """The payload that was given to a variant in Unleash."""

    type: str
    """``string``, ``json``, ``csv`` or ``number``."""

    value: str
    """The payload as text, whatever its type."""


class _VariantFields(TypedDict):
    name: str
    """The variant's name; ``disabled`` when there is no variant."""

    enabled: bool
    """Whether a variant was selected."""

    feature_enabled: bool
    """Whether the flag itself is on."""


class Variant(_VariantFields, total=False):
    """
    The answer of ``get_variant``, with UnleashClient's keys.

    A flag that is off, unknown or without variants gives
    ``{"name": "disabled", "enabled": False, "feature_enabled": ...}``.
    """

    payload: VariantPayload
    """The variant's payload; the key is missing when the variant has none."""


class FlagClient(Protocol):
    """
    A flag client of your own, for ``FlagSession(client=...)``.

    It has UnleashClient's signatures. ``unknown_flags``, an iterable of names, and
    ``uncounted``, a number of evaluations, are optional: where the client has these
    attributes, they appear in the session's status.
    """

    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Any = None,
    ) -> bool:
        """
        Return whether the flag is on in this evaluation context.

        ``fallback_function`` is None or a function of the name and the context, which
        answers for a flag that the client does not know. Its type is open, because
        UnleashClient's own is wrong: it excludes its default, None.
        """

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Return the flag's `Variant` in this evaluation context."""


class ActiveInvocation(Protocol):
    """
    One invocation of your function, as ``FlagSession.invocation`` returns it.

    A context manager for ``with`` and ``async with``. Its answers use the evaluation
    context of this invocation, whichever thread or task asks.
    """

    @property
    def invocation(self) -> Invocation:
        """What the platform says of this invocation; known once it was entered."""

    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """Return whether the flag is on for this invocation."""

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> Variant:
        """Return the flag's variant for this invocation."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Session(Protocol):
    """The part of a `FlagSession` that hooks use."""

    @property
    def status(self) -> Status:
        """What the session knows of itself."""

    def start(self, timeout: float | None = None) -> None:
        """Start the session, unless it was started."""

    def flush(self, timeout: float | None = None) -> bool:
        """Send the counts within ``timeout`` seconds."""

    def terminate(self, timeout: float) -> None:
        """Flush within ``timeout`` seconds; more invocations may follow."""

    def close(self, timeout: float) -> bool:
        """Flush for the last time, within ``timeout`` seconds."""

    def renew(self) -> None:
        """Begin anew in a copy of the process."""


class Terminable(Protocol):
    """What `serverless_flags.signals` can connect; each `FlagSession` is one."""

    def terminate(self, timeout: float) -> None:
        """Flush within ``timeout`` seconds; more invocations may follow."""

    def close(self, timeout: float) -> bool:
        """Flush for the last time, within ``timeout`` seconds."""
