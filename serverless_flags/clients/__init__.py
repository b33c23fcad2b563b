"""The flag clients by name; each is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags._protocols import Backend

if TYPE_CHECKING:
    from serverless_flags._settings import Settings
    from serverless_flags.clients.impression import Impression
    from serverless_flags.clients.memory import MemoryClient

__all__ = ["Impression", "MemoryClient"]


def __getattr__(name: str) -> Any:
    """Import a client's class only when it is asked for."""
    if name == "Impression":
        from serverless_flags.clients.impression import Impression

        return Impression
    if name == "MemoryClient":
        from serverless_flags.clients.memory import MemoryClient

        return MemoryClient
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def open_backend(settings: Settings, app_name: str) -> Backend:
    """Return the backend that ``settings.client`` names; cheap, opens nothing."""
    if settings.client == "unleash":
        # late: it imports http.client, unlike `import serverless_flags`
        from serverless_flags.clients.unleash import unleash_backend

        return unleash_backend(settings, app_name)
    if settings.client == "lean":
        from serverless_flags.clients.lean import lean_backend  # likewise

        return lean_backend(settings, app_name)
    if settings.client == "memory":
        from serverless_flags.clients.memory import MemoryClient  # for tests only

        return Backend(load=MemoryClient)
    client = settings.client
    return Backend(load=lambda: client)
