"""One evaluation: ask the engine, count the answer, deliver its impression."""

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
"""Different flags that are counted between two flushes."""
LONGEST_NAME = 1_000
"""Bytes of a flag's name that is counted."""


class Evaluator:
    """
    Evaluates flags of one state after the other; both clients of the engine ask it.

    What a custom strategy, a fallback or a listener raises costs its own evaluation.
    Nothing else is caught but what the engine raises: a runtime's timeout, which may
    arrive between any two lines, passes to the caller.

    Each question gets the state that answers it and the evaluation context as JSON, and
    as a dict where that has been made; ``fallback`` answers for a flag that the state
    does not have. An evaluation holds its state to its end, so the engine lives as long
    as its pointer is used, whatever strategies and listeners do.

    Args:
        library: the engine's functions.
        counter: an engine that never has flags and counts for all states.
        on_impression: called with an `Impression` for each evaluation of a flag with
            impression data, on the thread that evaluates.
    """

    def __init__(
        self,
        library: EngineLibrary,
        counter: Any,
        on_impression: Callable[[Impression], object] | None,
    ) -> None:
        self._library = library
        self._counter = counter  # held, for the next line points into it
        self._counts: int = counter.state
        self._names: dict[str, bytes] = {}  # those counted since the last flush
        self._unknown: UnknownFlags | None = None
        self._impressions: Impressions | None = None
        if on_impression is not None:
            from serverless_flags.clients.impression import Impressions  # with it alone

            self._impressions = Impressions(library, on_impression)
        self._problem_log = ProblemLog()
        self.uncounted = 0
        """Evaluations that were answered and not counted."""

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
        """Return a flag's variant, in UnleashClient's words."""
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
            self._note_unknown(state, feature_name, expected=False)
        variant = _variant(found)
        if counted:
            enabled, word = variant["feature_enabled"], variant["name"]
            library.free(library.count_toggle(self._counts, name, enabled))
            library.free(library.count_variant(self._counts, name, word.encode()))
        else:
            self.uncounted += 1
        if self._impressions is not None:
            event = ("variant", feature_name, variant["enabled"], variant["name"])
            self._impressions.deliver(state, name, event, seen or text)
        return variant

    def drain_counts(self) -> dict[str, Any] | None:
        """Drain the counts, whichever state they belong to."""
        self._names = {}
        library = self._library
        counts: dict[str, Any] | None = library.read(library.get_metrics(self._counts))
        return counts

    @property
    def unknown_flags(self) -> tuple[str, ...]:
        """Names that were asked for and that the state does not have."""
        return () if self._unknown is None else self._unknown.names

    def forget_known(self, state: State) -> None:
        """Take the flags of a new state for known."""
        if self._unknown is not None:
            self._unknown.forget_known(state)

    def _unknown_answer(
        self,
        state: State,
        feature_name: str,
        context: dict[str, Any] | bytes,
        fallback: Callable[[str, dict[str, Any]], object] | None,
    ) -> bool | None:
        """Return the answer for an unknown flag; None when the fallback fails."""
        self._note_unknown(state, feature_name, expected=fallback is not None)
        if fallback is None:
            return False
        from serverless_flags.clients._fallback import ask_fallback  # with one alone

        seen = json.loads(context) if isinstance(context, bytes) else context
        answer = ask_fallback(fallback, feature_name, seen, self._problem_log)
        if answer is None:
            self.uncounted += 1
        return answer

    def _note_unknown(self, state: State, feature_name: str, *, expected: bool) -> None:
        if not state.loaded:
            return
        if self._unknown is None:
            from serverless_flags.clients._unknown import UnknownFlags  # with one alone

            self._unknown = UnknownFlags(self._library)
        self._unknown.note(state, feature_name, expected=expected)

    def _admit(self, feature_name: Any) -> tuple[bytes, bool]:
        """
        Return a name as the engine takes it, and whether the evaluation is counted.

        For a flag that was not asked for since the last flush.
        """
        if not isinstance(feature_name, str):
            message = f"the name of a flag is a text, not {type(feature_name).__name__}"
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
            " names over %s bytes, are not counted: do not make flag names of input",
            MOST_NAMES,
            LONGEST_NAME,
        )
        return name, False

    def _failed(self, feature_name: object) -> bool:
        """Book an evaluation that has no answer: the flag is off and not counted."""
        self.uncounted += 1
        shown = feature_name[:100] if isinstance(feature_name, str) else ""
        self._problem_log.warn(
            "evaluation", "a flag could not be evaluated: %r", shown, exc_info=True
        )
        return False


class _NoAnswerError(EngineError):
    """Raised when the engine cannot be asked, or a custom strategy fails."""


def _custom_results(state: State, feature_name: str, context: dict[str, Any]) -> bytes:
    """Return what a flag's custom strategies say."""
    try:
        return state.custom_results(feature_name, context)
    except Exception as error:  # a strategy of the user's may raise anything
        if passes(error):
            raise
        message = f"a custom strategy of {feature_name[:100]!r} failed"
        raise _NoAnswerError(message) from error


def _variant(found: dict[str, Any] | None) -> dict[str, Any]:
    """Return a variant in UnleashClient's words."""
    if found is None:
        return dict(DISABLED)
    variant = {
        "name": found.get("name", ""),
        "payload": found.get("payload"),
        "enabled": found.get("enabled", False),
        "feature_enabled": found.get("featureEnabled", False),
    }
    return {name: value for name, value in variant.items() if value is not None}
