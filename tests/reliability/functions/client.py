"""The two clients of lives: a session, and UnleashClient as in its tutorial."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import names  # noqa: F401  reason: it patches the resolver before a client is made

from serverless_flags import FlagSession, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = os.environ["LIFE_CLIENT"] == "plain"


class Witness:
    """A log handler that records what a session reports at its end."""

    def __init__(self) -> None:
        self.note: Callable[..., None] = lambda *_: None

    @hookimpl
    def disconnect_instance(self, session: FlagSession) -> None:
        status = session.status
        self.note(
            "last words", uncounted=status.uncounted, unknown=status.unknown_counts
        )


def _session() -> Any:
    return FlagSession(plugins=[witness])


def _plain() -> Any:
    from UnleashClient import UnleashClient

    unleash = UnleashClient(
        url=os.environ["UNLEASH_URL"],
        app_name=os.environ["UNLEASH_APP_NAME"],
        custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
        refresh_interval=1,  # both are whole seconds: there is nothing shorter
        metrics_interval=1,
        cache_directory=os.environ["LIFE_CACHE"],
    )
    unleash.initialize_client()
    return unleash


def _destroy() -> None:
    flags.destroy()


def _terminate(signum: int, frame: object) -> None:
    flags.destroy()
    sys.exit(0)


def start(note: Callable[..., None]) -> None:
    """Do what a user does at import, in addition to making the client."""
    witness.note = note
    if PLAIN:
        atexit.register(_destroy)
        signal.signal(signal.SIGTERM, _terminate)


def end_child() -> None:
    """Do what a forked child does at its end."""
    if not PLAIN:
        flags.close()


witness = Witness()
flags = _plain() if PLAIN else _session()
invocation = contextlib.nullcontext if PLAIN else flags.invocation
wrap: Callable[..., Any] = (lambda function: function) if PLAIN else flags.wrap
