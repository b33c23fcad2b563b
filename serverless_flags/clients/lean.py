"""Unleash's engine to evaluate and count, without UnleashClient around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags.clients._backend import backend_of
from serverless_flags.clients._context import ContextText
from serverless_flags.clients._engine import engine_class
from serverless_flags.clients._evaluation import Evaluator
from serverless_flags.clients._library import (
    EngineLibrary,
    RetiredEngines,
    State,
    StateLoader,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags._protocols import Backend
    from serverless_flags._settings import Settings
    from serverless_flags.clients.impression import Impression


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
        counter = self._new_engine()
        self._library = EngineLibrary(counter)
        self._loader = StateLoader(self._library, strategies or {})
        self._retired = RetiredEngines()
        self._state = State(counter, loaded=False)  # it knows no flag
        self._text = ContextText({"appName": app_name, "environment": environment})
        self._evaluator = Evaluator(self._library, counter, on_impression)
        self._enabled, self._variant = self._evaluator.enabled, self._evaluator.variant

    def load_state(self, body: str) -> None:
        """Parse a state aside, then evaluate from it; the counts stay."""
        engine = self._new_engine()
        state = self._loader.load(engine, body)
        self._retired.take(engine, after=state)
        self._state = state
        self._retired.free()
        self._evaluator.forget_known(state)

    def drain_counts(self) -> dict[str, Any] | None:
        """Drain the counts, whichever state they belong to."""
        return self._evaluator.drain_counts()

    @property
    def unknown_flags(self) -> tuple[str, ...]:
        """Names that were asked for and that the flag state does not have."""
        return self._evaluator.unknown_flags

    @property
    def uncounted(self) -> int:
        """Evaluations that were answered and not counted."""
        return self._evaluator.uncounted

    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """Return whether the flag is on, as UnleashClient does."""
        text, seen = self._text(context)
        return self._enabled(self._state, feature_name, text, seen, fallback_function)

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the flag's variant, as UnleashClient does."""
        text, seen = self._text(context)
        return self._variant(self._state, feature_name, text, seen)
