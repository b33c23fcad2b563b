"""A flag client for tests: flags in a dict, no server."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from serverless_flags._client import DISABLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class MemoryClient:
    """
    Flags given by the test, which may change them and ask what was evaluated.

    Args:
        flags: a flag's name to a bool, or to its variant as UnleashClient returns it.
    """

    def __init__(self, flags: Mapping[str, bool | Mapping[str, Any]] = {}) -> None:
        self._flags: dict[str, bool | Mapping[str, Any]] = dict(flags)
        self.evaluations: Counter[str] = Counter()
        """How often each flag was asked for."""
        self.contexts: list[dict[str, Any]] = []
        """The evaluation context of each question, in order."""

    def set(self, name: str, value: bool | Mapping[str, Any]) -> None:  # noqa: FBT001  reason: the value is what the method is about
        """Turn a flag on or off, or give it a variant."""
        self._flags[name] = value

    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """Return whether the flag is on; an unknown one is what the fallback says."""
        context = self._note(feature_name, context)
        if feature_name not in self._flags and fallback_function is not None:
            return bool(fallback_function(feature_name, context))
        value = self._flags.get(feature_name, False)
        return value if isinstance(value, bool) else bool(value.get("enabled", True))

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the flag's variant; without one, the disabled variant."""
        self._note(feature_name, context)
        value = self._flags.get(feature_name, False)
        if isinstance(value, bool):
            return {**DISABLED, "feature_enabled": value}
        return {"enabled": True, "feature_enabled": True, **value}

    def _note(
        self, feature_name: str, context: dict[str, Any] | None
    ) -> dict[str, Any]:
        self.evaluations[feature_name] += 1
        context = dict(context or {})
        self.contexts.append(context)
        return context
