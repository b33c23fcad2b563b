"""UnleashClient without its threads, files and requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from serverless_flags._log import ProblemLog
from serverless_flags._passing import passes
from serverless_flags._version import __version__
from serverless_flags.clients._backend import backend_of
from serverless_flags.clients._context import complain, enriched, written
from serverless_flags.clients._evaluation import Evaluator
from serverless_flags.clients._library import (
    EngineLibrary,
    RetiredEngines,
    State,
    StateLoader,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._protocols import Backend
    from serverless_flags._settings import Settings
    from serverless_flags.clients._unleash_api import Identity


def unleash_backend(settings: Settings, app_name: str) -> Backend:
    """Return the backend; UnleashClient itself is imported by ``load``."""
    return backend_of(settings, app_name, UnleashFlagClient)


class UnleashFlagClient:
    """
    Evaluates with UnleashClient, and makes a new UnleashClient for each state.

    No UnleashClient is initialised, so none has jobs, files or threads, and the session
    makes all requests. Each gets its state before it replaces the previous one, so no
    evaluation waits for a parse. A second engine, which holds no flags, does the
    counting, so replacing the state loses no counts.

    UnleashClient's own evaluator catches every exception, even a runtime's timeout. So
    each UnleashClient calls its engine through our `Evaluator`.
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        import yggdrasil_engine  # late, as UnleashClient
        from yggdrasil_engine.engine import UnleashEngine  # late, as UnleashClient

        self.engine_version: str = yggdrasil_engine.__yggdrasil_core_version__
        self._settings, self._identity = settings, identity
        counting_engine = UnleashEngine()
        self._library = EngineLibrary(counting_engine)
        self._loader = StateLoader(self._library, settings.strategies)
        self._retired = RetiredEngines()
        self._evaluator = Evaluator(
            self._library, counting_engine, settings.on_impression
        )
        self._problem_log = ProblemLog()
        client = self._new_client()
        engine = client._engine  # noqa: SLF001  reason: see load_state
        self._serve(client, State(engine, loaded=False))

    def load_state(self, body: str) -> None:
        """Load the state into a new UnleashClient, then evaluate with it."""
        client = self._new_client()
        engine = client._engine  # noqa: SLF001  reason: its public methods load a state only from a request or a file, and drop the engine's errors; tests/clients/test_unleash_contract.py verifies it
        state = self._loader.load(engine, body)
        self._retired.add(engine, after=client)
        self._serve(client, state)
        self._retired.free()
        self._evaluator.forget_known(state)

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

    def _serve(self, client: Any, state: State) -> None:
        client._evaluator = _EvaluatorAdapter(  # noqa: SLF001  reason: see load_state
            self._evaluator,
            state,
            client._enricher.build,  # noqa: SLF001  reason: likewise
            {
                "appName": self._identity.app_name,
                "environment": self._settings.environment,
            },
            self._problem_log,
        )
        self.flag_count = state.flag_count
        # Attributes, because methods would add a frame to every evaluation.
        self.is_enabled: Callable[..., bool] = client.is_enabled
        self.get_variant: Callable[..., dict[str, Any]] = client.get_variant

    def _new_client(self) -> Any:
        # late: 170 to 240 ms and 26 MB, in parallel with requests
        from UnleashClient.clients import UnleashClient  # late, see above
        from UnleashClient.utils import InstanceAllowType  # late, see above

        settings, identity = self._settings, self._identity
        nothing: Any = _NullCacheAndScheduler()
        return UnleashClient(
            url=settings.url or "http://127.0.0.1",  # never used
            app_name=identity.app_name,
            environment=settings.environment,
            instance_id=identity.instance_id,
            project_name=settings.project_name,
            disable_metrics=True,
            disable_registration=True,
            verbose_log_level=logging.DEBUG,
            cache=nothing,
            scheduler=nothing,
            scheduler_executor="none",
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
            sdk_flavor="serverless-flags",
            sdk_flavor_version=__version__,
        )


class _VariantResult(NamedTuple):
    """A variant in the form that UnleashClient's evaluator returns."""

    variant: dict[str, Any]
    is_found: bool = True
    """False would make UnleashClient itself log that the flag is unknown."""


class _EvaluatorAdapter:
    """
    Replaces the evaluator of an UnleashClient.

    Args:
        evaluator: evaluates and counts.
        state: the state in the engine of that UnleashClient.
        build: UnleashClient's own function that enriches evaluation contexts.
        known: fields that are the same in each evaluation context.
        problem_log: logs unreadable parts of evaluation contexts.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        state: State,
        build: Callable[[Any], dict[str, Any]],
        known: dict[str, str],
        problem_log: ProblemLog,
    ) -> None:
        self._enabled, self._variant = evaluator.enabled, evaluator.variant
        self._state, self._build, self._known = state, build, known
        self._problem_log = problem_log

    def is_enabled(
        self, feature_name: str, context: Any = None, fallback_function: Any = None
    ) -> bool:
        """Return whether the flag is on."""
        seen = self._enriched(context)
        return self._enabled(
            self._state, feature_name, written(seen), seen, fallback_function
        )

    def get_variant(self, feature_name: str, context: Any = None) -> _VariantResult:
        """Return the flag's variant."""
        seen = self._enriched(context)
        return _VariantResult(
            self._variant(self._state, feature_name, written(seen), seen)
        )

    def _enriched(self, context: Any) -> dict[str, Any]:
        """Enrich a context; where UnleashClient fails, without the unreadable parts."""
        try:
            return self._build(context)
        except Exception as error:  # the user's values may raise anything
            faults: list[str] = []
            seen = enriched(self._known, context, faults.append)
            if not faults or passes(error):
                raise  # the context is readable, so the error has another cause
        complain(faults, self._problem_log)
        return seen


class _NullCacheAndScheduler:
    """Stands in for UnleashClient's cache and scheduler; no file, no thread."""

    bootstrapped = False

    def mset(self, data: dict[str, Any]) -> None:
        """Do nothing."""
