"""A client of Unleash and its server, brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._protocols import Backend
from serverless_flags.clients._unleash_api import (
    Identity,
    UnleashApi,
    count_flags,
    read_snapshot,
)

if TYPE_CHECKING:  # with its protocol, which takes 0.1 ms to define
    from collections.abc import Callable
    from typing import Protocol

    from serverless_flags._protocols import StateClient
    from serverless_flags._settings import Settings

    class EngineClient(StateClient, Protocol):
        """A client that names its engine."""

        engine_version: str


def backend_of(
    settings: Settings,
    app_name: str,
    new_client: Callable[[Settings, Identity], EngineClient],
) -> Backend:
    """
    Return the backend of a client of Unleash; ``load`` calls ``new_client``.

    ``load`` raises MissingDependencyError where what it imports cannot be imported.
    """
    identity = Identity(settings, app_name)
    api = None if settings.url is None else UnleashApi(settings, settings.url, identity)
    if api is not None and settings.snapshot is None:
        api.prepare(settings.request_timeout)  # else the start asks nobody

    def load() -> EngineClient:
        try:
            client = new_client(settings, identity)
        except (ImportError, OSError) as error:
            from serverless_flags.clients._missing import explained  # rare

            raise explained(error) from error
        if api is not None:
            api.engine_version = client.engine_version
        return client

    return Backend(load, api, read_snapshot, count_flags)
