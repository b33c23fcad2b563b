"""UnleashClient to evaluate and count, without its threads, files and requests."""

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
    UnleashClient, a new one for each state, that does nothing of its own accord.

    Each is never initialised: it has no job, no file and no thread, and every request
    is the session's. It gets its state before it takes the place of the one before, so
    no evaluation waits for a parse. One more engine counts for all of them: a new state
    leaves the counts where they are.

    UnleashClient's own evaluator catches every exception that arrives while it works, a
    runtime's timeout too. So each UnleashClient asks its engine through ours.
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        import yggdrasil_engine  # with UnleashClient, in _new_client
        from yggdrasil_engine.engine import UnleashEngine  # likewise

        self.engine_version: str = yggdrasil_engine.__yggdrasil_core_version__
        self._settings, self._identity = settings, identity
        counter = UnleashEngine()
        self._library = EngineLibrary(counter)
        self._loader = StateLoader(self._library, settings.strategies)
        self._retired = RetiredEngines()
        self._evaluator = Evaluator(self._library, counter, settings.on_impression)
        self._problem_log = ProblemLog()
        client = self._new_client()
        engine = client._engine  # noqa: SLF001  reason: see load_state
        self._serve(client, State(engine, loaded=False))

    def load_state(self, body: str) -> None:
        """Give the state to a new UnleashClient, then evaluate with that one."""
        client = self._new_client()
        engine = client._engine  # noqa: SLF001  reason: its public ways to a state end in a request or a file, and drop what the engine answers; tests/clients/test_unleash_contract.py
        state = self._loader.load(engine, body)
        self._retired.take(engine, after=client)
        self._serve(client, state)
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
        # Bound here: a method of ours would add a frame to every evaluation.
        self.is_enabled: Callable[..., bool] = client.is_enabled
        self.get_variant: Callable[..., dict[str, Any]] = client.get_variant

    def _new_client(self) -> Any:
        # 170 to 240 ms and 26 MB: never at import, always while the network works
        from UnleashClient.clients import UnleashClient  # see above
        from UnleashClient.utils import InstanceAllowType  # see above

        settings, identity = self._settings, self._identity
        nothing: Any = _NullCacheAndScheduler()
        return UnleashClient(
            url=settings.url or "http://127.0.0.1",  # never asked
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
    """A variant, as UnleashClient's evaluator returns it."""

    variant: dict[str, Any]
    is_found: bool = True
    """False makes UnleashClient say, for itself, that the flag is unknown."""


class _EvaluatorAdapter:
    """
    What UnleashClient has in the place of its evaluator.

    Args:
        evaluator: ours.
        state: that of UnleashClient's engine.
        build: UnleashClient's own, which enriches evaluation contexts.
        known: what is the same in each of them.
        problem_log: says what cannot be read of one.
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
        """Enrich a context; where UnleashClient cannot, without what is to blame."""
        try:
            return self._build(context)
        except Exception as error:  # values of the user's may raise anything
            faults: list[str] = []
            seen = enriched(self._known, context, faults.append)
            if not faults or passes(error):
                raise  # nothing is wrong with the context: it came from elsewhere
        complain(faults, self._problem_log)
        return seen


class _NullCacheAndScheduler:
    """What UnleashClient takes for a cache and a scheduler: no file, no thread."""

    bootstrapped = False

    def mset(self, data: dict[str, Any]) -> None:
        """Forget it."""
