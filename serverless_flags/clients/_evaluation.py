"""Evaluate a flag: call the engine, count the result, deliver the impression."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serverless_flags._log import ProblemLog
from serverless_flags._passing import passes
from serverless_flags._protocols import DISABLED
from serverless_flags.clients._engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags.clients._library import EngineLibrary, State
    from serverless_flags.clients._unknown import UnknownFlags
    from serverless_flags.clients.impression import Impression, Impressions

MOST_NAMES = 10_000
"""The most different flags that are counted between two flushes."""
LONGEST_NAME = 1_000
"""The most bytes of the name of a flag that is counted."""


class Evaluator:
    """
    Evaluates flags; shared by both clients that use the engine.

    An exception from a custom strategy, a fallback or a listener affects only its own
    evaluation. No other exceptions are caught but the engine's: a runtime's timeout,
    which may be raised between any two lines, propagates to the caller.

    Each call gets the state to evaluate and the evaluation context as JSON, and as a
    dict if one was built; ``fallback`` is called for a flag that the state does not
    have. An evaluation holds a reference to its state until it ends, so the engine
    exists as long as its pointer is used, whatever strategies and listeners do.

    Args:
        library: the engine's functions.
        counting_engine: an engine that holds no flags and does the counting.
        on_impression: called with an `Impression` for each evaluation of a flag with
            impression data, on the thread that evaluates.
    """

    def __init__(
        self,
        library: EngineLibrary,
        counting_engine: Any,
        on_impression: Callable[[Impression], object] | None,
    ) -> None:
        self._library = library
        self._counting_engine = counting_engine  # keeps the next line's pointer valid
        self._counts: int = counting_engine.state
        self._names: dict[str, bytes] = {}  # the flags counted since the last flush
        self._unknown: UnknownFlags | None = None
        self._impressions: Impressions | None = None
        if on_impression is not None:
            # only with a listener
            from serverless_flags.clients.impression import Impressions

            self._impressions = Impressions(library, on_impression)
        self._problem_log = ProblemLog()
        self.uncounted = 0
        """Evaluations that returned a result and were not counted."""

    def enabled(
        self,
        state: State,
        feature_name: str,
        text: bytes,
        seen: dict[str, Any] | None,
        fallback: Callable[[str, dict[str, Any]], object] | None,
    ) -> bool:
        """Return whether a flag of ``state`` is on; ``text`` is the context as JSON."""
        library, counted, custom = self._library, True, b"{}"
        try:
            try:
                name = self._names[feature_name]
            except (KeyError, TypeError):
                name, counted = self._admit(feature_name)
            if feature_name in state.custom:
                seen = seen or json.loads(text)
                custom = _custom_results(state, feature_name, seen)
            address = library.check_enabled(state.pointer, name, text, custom)
            answer: bool | None = library.read(address)
        except EngineError:
            return self._failed(feature_name)
        if answer is None:
            answer = self._unknown_answer(state, feature_name, seen or text, fallback)
            if answer is None:
                return False
        if counted:
            library.free(library.count_toggle(self._counts, name, answer))
        else:
            self.uncounted += 1
        if self._impressions is not None:
            event = ("feature_flag", feature_name, answer, "")
            self._impressions.deliver(state, name, event, seen or text)
        return answer

    def variant(
        self, state: State, feature_name: str, text: bytes, seen: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Return a flag's variant, with UnleashClient's keys."""
        library, counted, custom = self._library, True, b"{}"
        try:
            try:
                name = self._names[feature_name]
            except (KeyError, TypeError):
                name, counted = self._admit(feature_name)
            if feature_name in state.custom:
                seen = seen or json.loads(text)
                custom = _custom_results(state, feature_name, seen)
            address = library.check_variant(state.pointer, name, text, custom)
            found = library.read(address)
        except EngineError:
            self._failed(feature_name)
            return dict(DISABLED)
        if found is None:
            self._record_unknown(state, feature_name, expected=False)
        variant = _variant(found)
        if counted:
            enabled, label = variant["feature_enabled"], variant["name"]
            library.free(library.count_toggle(self._counts, name, enabled))
            library.free(library.count_variant(self._counts, name, label.encode()))
        else:
            self.uncounted += 1
        if self._impressions is not None:
            event = ("variant", feature_name, variant["enabled"], variant["name"])
            self._impressions.deliver(state, name, event, seen or text)
        return variant

    def drain_counts(self) -> dict[str, Any] | None:
        """Return all counts since the last call and reset them."""
        self._names = {}
        library = self._library
        counts: dict[str, Any] | None = library.read(library.get_metrics(self._counts))
        return counts

    @property
    def unknown_flags(self) -> tuple[str, ...]:
        """Names that were evaluated and that the state does not have."""
        return () if self._unknown is None else self._unknown.names

    def forget_known(self, state: State) -> None:
        """Remove the flags of a new state from `unknown_flags`."""
        if self._unknown is not None:
            self._unknown.forget_known(state)

    def _unknown_answer(
        self,
        state: State,
        feature_name: str,
        context: dict[str, Any] | bytes,
        fallback: Callable[[str, dict[str, Any]], object] | None,
    ) -> bool | None:
        """Return the result for an unknown flag; None if the fallback fails."""
        self._record_unknown(state, feature_name, expected=fallback is not None)
        if fallback is None:
            return False
        from serverless_flags.clients._fallback import ask_fallback  # only with one

        seen = json.loads(context) if isinstance(context, bytes) else context
        answer = ask_fallback(fallback, feature_name, seen, self._problem_log)
        if answer is None:
            self.uncounted += 1
        return answer

    def _record_unknown(
        self, state: State, feature_name: str, *, expected: bool
    ) -> None:
        if not state.loaded:
            return
        if self._unknown is None:
            from serverless_flags.clients._unknown import UnknownFlags  # only with one

            self._unknown = UnknownFlags(self._library)
        self._unknown.record(state, feature_name, expected=expected)

    def _admit(self, feature_name: Any) -> tuple[bytes, bool]:
        """
        Return a name as the engine takes it, and whether to count the evaluation.

        Called at the first evaluation of a flag after each flush.
        """
        if not isinstance(feature_name, str):
            message = (
                f"a flag's name must be a string, not {type(feature_name).__name__}"
            )
            raise _NoAnswerError(message)
        try:
            name = feature_name.encode()
        except UnicodeEncodeError as error:
            raise _NoAnswerError(str(error)) from None
        names = self._names
        if len(names) < MOST_NAMES and len(name) <= LONGEST_NAME:
            names[feature_name] = name
            return name, True
        self._problem_log.warn(
            "names",
            "evaluations of more than %s different flags between two flushes, or of"
            " names over %s bytes, are not counted: do not build flag names from input",
            MOST_NAMES,
            LONGEST_NAME,
        )
        return name, False

    def _failed(self, feature_name: object) -> bool:
        """Record a failed evaluation: the flag is off, and nothing is counted."""
        self.uncounted += 1
        shown = feature_name[:100] if isinstance(feature_name, str) else ""
        self._problem_log.warn(
            "evaluation", "a flag could not be evaluated: %r", shown, exc_info=True
        )
        return False


class _NoAnswerError(EngineError):
    """Raised for an invalid flag name, or when a custom strategy fails."""


def _custom_results(state: State, feature_name: str, context: dict[str, Any]) -> bytes:
    """Return the results of a flag's custom strategies as JSON."""
    try:
        return state.custom_results(feature_name, context)
    except Exception as error:  # a user's strategy may raise anything
        if passes(error):
            raise
        message = f"a custom strategy of {feature_name[:100]!r} failed"
        raise _NoAnswerError(message) from error


def _variant(found: dict[str, Any] | None) -> dict[str, Any]:
    """Return a variant with UnleashClient's keys."""
    if found is None:
        return dict(DISABLED)
    variant = {
        "name": found.get("name", ""),
        "payload": found.get("payload"),
        "enabled": found.get("enabled", False),
        "feature_enabled": found.get("featureEnabled", False),
    }
    return {name: value for name, value in variant.items() if value is not None}
