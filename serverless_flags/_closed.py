"""The client after the end: it answers, and nobody will fetch what it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._client import FlagClient


class ClosedClient:
    """
    A flag client whose counts are lost.

    Args:
        client: answers.
        note: called for each evaluation.
    """

    def __init__(self, client: FlagClient, note: Callable[[], None]) -> None:
        self._client, self._note = client, note

    def is_enabled(self, *args: Any) -> bool:
        """Return whether the flag is on."""
        self._note()
        return self._client.is_enabled(*args)

    def get_variant(self, *args: Any) -> dict[str, Any]:
        """Return the flag's variant."""
        self._note()
        return self._client.get_variant(*args)
