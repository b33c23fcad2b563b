"""The lean client: Unleash's engine without UnleashClient."""

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
    Evaluates flags like UnleashClient, with the same engine.

    A new engine parses each new state and then replaces the old one, so no evaluation
    waits for a parse. A second engine, which holds no flags, does the counting, so
    replacing the state loses no counts.

    Args:
        app_name: for the evaluation context.
        environment: for the evaluation context.
        strategies: custom strategies by name, as UnleashClient accepts them.
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
        import yggdrasil_engine  # 10 to 40 ms and 6 MB: in parallel with requests

        self.engine_version: str = yggdrasil_engine.__yggdrasil_core_version__
        self._new_engine = engine_class()
        counting_engine = self._new_engine()
        self._library = EngineLibrary(counting_engine)
        self._loader = StateLoader(self._library, strategies or {})
        self._retired = RetiredEngines()
        self._state = State(counting_engine, loaded=False)  # it has no flags
        self.flag_count = 0
        """How many flags the state has."""
        self._text = ContextText({"appName": app_name, "environment": environment})
        self._evaluator = Evaluator(self._library, counting_engine, on_impression)
        self._enabled, self._variant = self._evaluator.enabled, self._evaluator.variant

    def load_state(self, body: str) -> None:
        """Parse a state in a new engine, then evaluate with it; keeps the counts."""
        engine = self._new_engine()
        state = self._loader.load(engine, body)
        self._retired.add(engine, after=state)
        self._state = state
        self.flag_count = state.flag_count
        self._retired.free()
        self._evaluator.forget_known(state)

    take_state = load_state
    """Its former name, for programs that were written before 0.1.0."""

    def drain_counts(self) -> dict[str, Any] | None:
        """Return all counts since the last call and reset them."""
        return self._evaluator.drain_counts()

    @property
    def unknown_flags(self) -> tuple[str, ...]:
        """Names that were evaluated and that the flag state does not have."""
        return self._evaluator.unknown_flags

    @property
    def uncounted(self) -> int:
        """Evaluations that returned a result and were not counted."""
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
