"""Combine a client of Unleash with the API of its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._protocols import Backend
from serverless_flags.clients._unleash_api import (
    Identity,
    UnleashApi,
    read_snapshot,
)

if TYPE_CHECKING:  # defining the protocol takes 0.1 ms
    from collections.abc import Callable
    from typing import Protocol

    from serverless_flags._protocols import StateClient
    from serverless_flags._settings import Settings

    class EngineClient(StateClient, Protocol):
        """A client that reports the version of its engine."""

        engine_version: str


def backend_of(
    settings: Settings,
    app_name: str,
    new_client: Callable[[Settings, Identity], EngineClient],
) -> Backend:
    """
    Return the backend of a client of Unleash; ``load`` calls ``new_client``.

    ``load`` raises MissingDependencyError when an import fails.
    """
    identity = Identity(settings, app_name)
    api = None if settings.url is None else UnleashApi(settings, settings.url, identity)
    if api is not None and settings.snapshot is None:
        # a snapshot needs no request at the start
        api.prepare(settings.request_timeout)

    def load() -> EngineClient:
        try:
            client = new_client(settings, identity)
        except (ImportError, OSError) as error:
            # only after a failure
            from serverless_flags.clients._missing import explained

            raise explained(error) from error
        if api is not None:
            api.engine_version = client.engine_version
        return client

    return Backend(load, api, read_snapshot)
