"""UnleashClient to evaluate and count, without its threads, files and requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from serverless_flags._report import logger
from serverless_flags._version import __version__
from serverless_flags.clients._backend import backend_of
from serverless_flags.clients._engine import PARTLY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags._client import Backend
    from serverless_flags._config import Settings
    from serverless_flags.clients._unleash_api import Identity

FEATURES = "/client/features"
"""UnleashClient's cache key of the state (``UnleashClient.constants.FEATURES_URL``)."""


def unleash_backend(settings: Settings, app_name: str) -> Backend:
    """Return the backend; UnleashClient itself is imported by ``load``."""
    return backend_of(settings, app_name, UnleashFlagClient)


class UnleashFlagClient:
    """
    One UnleashClient that does nothing of its own accord.

    Its scheduler runs nothing, its cache is a dict filled by us, its metrics job does
    not exist: every request is the session's.
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        # 170 to 240 ms and 26 MB: never at import, always while the network works
        import yggdrasil_engine  # see above
        from UnleashClient.clients import UnleashClient  # see above
        from UnleashClient.utils import InstanceAllowType  # see above

        self.engine_version: str = yggdrasil_engine.__yggdrasil_core_version__
        self._cache = _memory_cache()
        self._scheduler = _IdleScheduler()
        self._client = UnleashClient(
            url=settings.url or "http://127.0.0.1",  # never asked
            app_name=identity.app_name,
            environment=settings.environment,
            instance_id=identity.instance_id,
            project_name=settings.project_name,
            disable_metrics=True,
            disable_registration=True,
            custom_strategies=dict(settings.strategies),
            verbose_log_level=logging.DEBUG,
            cache=self._cache,
            scheduler=self._scheduler,
            scheduler_executor="none",
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
            sdk_flavor="serverless-flags",
            sdk_flavor_version=__version__,
        )
        # Bound here: a method of ours would add a frame to every evaluation.
        self.is_enabled: Callable[..., bool] = self._client.is_enabled
        self.get_variant: Callable[..., dict[str, Any]] = self._client.get_variant
        # Public API would send; see tests/clients/test_unleash_contract.py
        self._engine = self._client._engine  # noqa: SLF001  reason: above
        self._engine.take_state = self._hand_over  # its own drops the answer
        self._refusal: str | None = None

    def take_state(self, body: str) -> None:
        """Hand the state to the engine, exactly once."""
        self._refusal = "the engine was not asked"
        self._cache.set(FEATURES, body)
        if self._scheduler.jobs:
            self._scheduler.jobs[0].run()
        else:
            self._client.initialize_client(fetch_toggles=False)
        if self._refusal is not None:
            raise ValueError(self._refusal)

    def _hand_over(self, body: str) -> None:
        """Do as the engine's own ``take_state`` does, and keep what it answers."""
        engine = self._engine
        pointer = engine.lib.take_state(engine.state, body.encode())
        with engine.materialize_pointer(pointer, list) as response:
            complaint = response.error_message
        if complaint is None or complaint.startswith(PARTLY):
            engine.custom_strategy_handler.update_strategies(body)
            if complaint is not None:
                logger.warning("%s", complaint[:500])
            complaint = None
        self._refusal = complaint

    def take_counts(self) -> dict[str, Any] | None:
        """Drain the engine's counts."""
        counts: dict[str, Any] | None = self._engine.get_metrics()
        return counts


class _Job:
    """What a scheduler hands back for a job; the session runs it itself."""

    def __init__(
        self, func: Callable[..., Any], kwargs: Mapping[str, Any] | None
    ) -> None:
        self._func, self._kwargs = func, kwargs or {}

    def run(self) -> None:
        self._func(**self._kwargs)

    def remove(self) -> None:
        """Nothing to do: nobody runs it."""


class _IdleScheduler:
    """An APScheduler for UnleashClient that keeps jobs and never runs one."""

    def __init__(self) -> None:
        self.jobs: list[_Job] = []
        self.state = 0

    def add_job(
        self,
        func: Callable[..., Any],
        trigger: object = None,  # noqa: ARG002  reason: APScheduler's signature
        kwargs: Mapping[str, Any] | None = None,
        **_options: object,
    ) -> _Job:
        job = _Job(func, kwargs)
        self.jobs.append(job)
        return job

    def start(self) -> None:
        self.state = 1


def _memory_cache() -> Any:
    from UnleashClient.cache import BaseCache  # comes with the SDK

    class MemoryCache(BaseCache):
        """UnleashClient's cache as a dict."""

        def __init__(self) -> None:
            self._values: dict[str, Any] = {}

        def set(self, key: str, value: Any) -> None:
            self._values[key] = value

        def mset(self, data: dict[str, Any]) -> None:
            self._values.update(data)

        def get(self, key: str, default: Any = None) -> Any:
            return self._values.get(key, default)

        def exists(self, key: str) -> bool:
            return key in self._values

        def destroy(self) -> None:
            self._values.clear()

    return MemoryCache()
