"""A flag client for tests: flags in a dict, no server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from serverless_flags._log import ProblemLog
from serverless_flags._protocols import DISABLED
from serverless_flags.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags.types import Variant

MOST_UNKNOWN = 100
"""Names in `MemoryClient.unknown_flags`."""


class MemoryClient:
    """
    Flags that your test sets and changes; it can also inspect the evaluations.

    Args:
        flags: maps each flag's name to a bool, or to its variant as UnleashClient
            returns it.

    Raises:
        ConfigurationError: when a value is neither; the message names the flag.
    """

    def __init__(self, flags: Mapping[str, bool | Mapping[str, Any]] = {}) -> None:
        if not isinstance(flags, Mapping):
            message = (
                f"flags must map names to values, not be {type(flags).__name__};"
                " write for example MemoryClient({'simpleFlag': True})"
            )
            raise ConfigurationError(message)
        self._flags: dict[str, bool | Mapping[str, Any]] = {}
        self._problem_log = ProblemLog()
        self.evaluations: Counter[str] = Counter()
        """How often each flag was evaluated."""
        self.contexts: list[dict[str, Any]] = []
        """The evaluation context of each evaluation, in order."""
        for name, value in flags.items():
            self.set(name, value)

    def set(self, name: str, value: bool | Mapping[str, Any]) -> None:  # noqa: FBT001  reason: the bool is the value to set
        """
        Turn a flag on or off, or give it a variant.

        Raises:
            ConfigurationError: when the value is neither; the message names the flag.
        """
        if not isinstance(value, (bool, Mapping)):
            message = (
                f"the flag {name!r} cannot be {value!r}: give it True, False or a"
                " variant such as {'name': 'blue'}"
            )
            raise ConfigurationError(message)
        self._flags[name] = value

    @property
    def unknown_flags(self) -> tuple[str, ...]:
        """Names that were evaluated and that the test has not set."""
        unknown = (name for name in self.evaluations if name not in self._flags)
        return tuple(
            name for name, _ in zip(unknown, range(MOST_UNKNOWN), strict=False)
        )

    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """Return whether the flag is on; for an unknown flag, the fallback's result."""
        context = self._record_evaluation(feature_name, context)
        if feature_name not in self._flags and fallback_function is not None:
            from serverless_flags.clients._fallback import ask_fallback  # only with one

            answer = ask_fallback(
                fallback_function, feature_name, context, self._problem_log
            )
            return bool(answer)
        value = self._flags.get(feature_name, False)
        return value if isinstance(value, bool) else bool(value.get("enabled", True))

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> Variant:
        """Return the flag's variant; without one, the disabled variant."""
        self._record_evaluation(feature_name, context)
        value = self._flags.get(feature_name, False)
        if isinstance(value, bool):
            return {**DISABLED, "feature_enabled": value}
        return cast("Variant", {"enabled": True, "feature_enabled": True, **value})

    def _record_evaluation(
        self, feature_name: str, context: dict[str, Any] | None
    ) -> dict[str, Any]:
        self.evaluations[feature_name] += 1
        context = dict(context or {})
        self.contexts.append(context)
        return context
