"""UnleashClient to evaluate and count, without its threads, files and requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from serverless_flags._version import __version__
from serverless_flags.clients._backend import backend_of
from serverless_flags.clients._engine import Library, Spent, load_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._client import Backend
    from serverless_flags._config import Settings
    from serverless_flags.clients._unleash_api import Identity
    from serverless_flags.clients.impression import Impressions


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
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        import yggdrasil_engine  # with UnleashClient, in _new_client
        from yggdrasil_engine.engine import UnleashEngine  # likewise

        self.engine_version: str = yggdrasil_engine.__yggdrasil_core_version__
        self._settings, self._identity = settings, identity
        self._counter = UnleashEngine()
        self._library = Library(self._counter)
        self._spent = Spent()
        self._impressions: Impressions | None = None
        if settings.on_impression is not None:
            from serverless_flags.clients.impression import Impressions  # with it alone

            self._impressions = Impressions(self._library, settings.on_impression)
        self._serve(self._new_client())

    def take_state(self, body: str) -> None:
        """Give the state to a new UnleashClient, then evaluate with that one."""
        client = self._new_client()
        engine = client._engine  # noqa: SLF001  reason: its public ways to a state end in a request or a file, and drop what the engine answers; tests/clients/test_unleash_contract.py
        load_state(self._library, engine, body, self._settings.strategies)
        self._spent.take(engine, after=client)
        self._serve(client)
        self._spent.free()

    def take_counts(self) -> dict[str, Any] | None:
        """Drain the counts, whichever state they belong to."""
        counts: dict[str, Any] | None = self._counter.get_metrics()
        return counts

    def _serve(self, client: Any) -> None:
        # Bound here: a method of ours would add a frame to every evaluation.
        self.is_enabled: Callable[..., bool] = client.is_enabled
        self.get_variant: Callable[..., dict[str, Any]] = client.get_variant
        if self._impressions is not None:
            self.is_enabled, self.get_variant = self._impressions.around(
                client,
                client._engine.state,  # noqa: SLF001  reason: see take_state
                {
                    "appName": self._identity.app_name,
                    "environment": self._settings.environment,
                },
            )

    def _new_client(self) -> Any:
        # 170 to 240 ms and 26 MB: never at import, always while the network works
        from UnleashClient.clients import UnleashClient  # see above
        from UnleashClient.utils import InstanceAllowType  # see above

        settings, identity = self._settings, self._identity
        nothing: Any = _Nothing()
        client = UnleashClient(
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
        engine = client._engine  # noqa: SLF001  reason: see take_state
        engine.count_toggle = self._counter.count_toggle
        engine.count_variant = self._counter.count_variant
        return client


class _Nothing:
    """What UnleashClient takes for a cache and a scheduler: no file, no thread."""

    bootstrapped = False

    def mset(self, data: dict[str, Any]) -> None:
        """Forget it."""
