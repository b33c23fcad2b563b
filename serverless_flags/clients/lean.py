"""Unleash's engine to evaluate and count, without UnleashClient around it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serverless_flags._client import DISABLED
from serverless_flags._report import Reporter
from serverless_flags.clients._backend import backend_of
from serverless_flags.clients._context import ContextText, enriched
from serverless_flags.clients._engine import Library, Spent, load_state
from serverless_flags.clients._ffi import engine_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags._client import Backend
    from serverless_flags._config import Settings
    from serverless_flags.clients.impression import Impression, Impressions


def lean_backend(settings: Settings, app_name: str) -> Backend:
    """Return the backend; the engine itself is imported by ``load``."""
    return backend_of(
        settings,
        app_name,
        lambda settings, identity: LeanClient(
            app_name=identity.app_name,
            environment=settings.environment,
            strategies=settings.strategies,
            on_impression=settings.on_impression,
        ),
    )


class LeanClient:
    """
    UnleashClient's answers, from the engine that it asks too.

    Each state is parsed by an engine of its own, which then takes the old one's place:
    no evaluation waits for a parse. One more engine never has flags and counts for all
    of them: a new state leaves the counts where they are.

    Args:
        app_name: for the evaluation context.
        environment: likewise.
        strategies: custom strategies by name, as UnleashClient takes them.
        on_impression: called with an `Impression` for each evaluation of a flag with
            impression data, on the thread that evaluates.
    """

    def __init__(
        self,
        *,
        app_name: str,
        environment: str = "default",
        strategies: Mapping[str, Any] | None = None,
        on_impression: Callable[[Impression], object] | None = None,
    ) -> None:
        import yggdrasil_engine  # 10 to 40 ms and 6 MB: while the network works

        self.engine_version: str = yggdrasil_engine.__yggdrasil_core_version__
        self._new_engine = engine_class()
        self._counter = self._new_engine()
        self._counts: int = self._counter.state
        self._library = Library(self._counter)
        self._spent = Spent()
        self._state = _State(self._counter)  # knows no flag
        self._known = {"appName": app_name, "environment": environment}
        self._text = ContextText(self._known)
        self._strategies = dict(strategies or {})
        self._impressions: Impressions | None = None
        if on_impression is not None:
            from serverless_flags.clients.impression import Impressions  # with it alone

            self._impressions = Impressions(self._library, on_impression)
        self._reporter = Reporter()

    def take_state(self, body: str) -> None:
        """Parse a state aside, then evaluate from it; the counts stay."""
        engine = self._new_engine()
        load_state(self._library, engine, body, self._strategies)
        state = _State(engine)
        self._spent.take(engine, after=state)
        self._state = state
        self._spent.free()

    def take_counts(self) -> dict[str, Any] | None:
        """Drain the counts, whichever state they belong to."""
        library = self._library
        counts: dict[str, Any] | None = library.read(library.get_metrics(self._counts))
        return counts

    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """Return whether the flag is on, as UnleashClient does."""
        library, text = self._library, self._text(context)
        try:
            name = feature_name.encode()
            answer = self._ask(library.check_enabled, feature_name, name, context, text)
            if answer is None and fallback_function is not None:
                answer = fallback_function(feature_name, enriched(self._known, context))
            enabled = bool(answer)
            library.free(library.count_toggle(self._counts, name, enabled))
        except Exception:  # noqa: BLE001  reason: as UnleashClient: a strategy or a fallback may raise anything
            self._fault(feature_name)
            return False
        if self._impressions is not None:
            engine, seen = self._state.pointer, enriched(self._known, context)
            self._impressions.tell(
                engine, "feature_flag", feature_name, seen, enabled=enabled
            )
        return enabled

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the flag's variant, as UnleashClient does."""
        library, text = self._library, self._text(context)
        try:
            name = feature_name.encode()
            found = self._ask(library.check_variant, feature_name, name, context, text)
            variant = _variant(found)
            enabled, word = variant["feature_enabled"], variant["name"]
            library.free(library.count_toggle(self._counts, name, enabled))
            library.free(library.count_variant(self._counts, name, word.encode()))
        except Exception:  # noqa: BLE001  reason: as UnleashClient: a strategy may raise anything
            self._fault(feature_name)
            return dict(DISABLED)
        if self._impressions is not None:
            engine, seen = self._state.pointer, enriched(self._known, context)
            on = variant["enabled"]
            self._impressions.tell(
                engine, "variant", feature_name, seen, enabled=on, variant=word
            )
        return variant

    def _ask(
        self,
        check: Callable[..., int],
        feature_name: str,
        name: bytes,
        context: dict[str, Any] | None,
        text: bytes,
    ) -> Any:
        """Return the engine's answer; None when it does not know the flag."""
        state = self._state  # held, for another thread may put a new one in its place
        custom = b"{}"
        if feature_name in state.custom:
            seen = enriched(self._known, context)
            custom = state.custom_results(feature_name, seen)
        return self._library.read(check(state.pointer, name, text, custom))

    def _fault(self, feature_name: str) -> None:
        self._reporter.warn(
            "evaluation",
            "a flag could not be evaluated: %s",
            feature_name,
            exc_info=True,
        )


class _State:
    """One state of the flags, in an engine of its own; whoever evaluates holds it."""

    __slots__ = ("__weakref__", "_strategies", "custom", "engine", "pointer")

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.pointer: int = engine.state
        self._strategies = engine.custom_strategy_handler
        self.custom: Mapping[str, Any] = self._strategies.strategy_definitions
        """The flags with custom strategies."""

    def custom_results(self, feature_name: str, context: dict[str, Any]) -> bytes:
        """Ask the custom strategies of a flag, for the engine cannot."""
        results = self._strategies.evaluate_custom_strategies(feature_name, context)
        return json.dumps(results).encode()


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
