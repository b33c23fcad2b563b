"""What the demo needs of a flag server, and the embedded server that provides it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from serverless_flags.testing.flag_server import FlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from serverless_flags.testing import Counts

FLAG = "simpleFlag"
"""The flag that the examples read."""

COUNTS_TIMEOUT = 5.0
"""Seconds to wait for counts, which an instance sends before it ends."""


class Control(Protocol):
    """A flag server whose flag the demo flips and whose counts it reads."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment with which a function uses this server."""

    def set_flag(self, *, enabled: bool) -> None:
        """Flip the flag; return when the server serves the new value."""

    def wait_for_counts(self, app_name: str, total: int) -> Counts:
        """Return an application's counts at ``total``, or after a timeout."""


class Embedded:
    """The flag server of this package, in this process."""

    def __init__(self, server: FlagServer) -> None:
        self._server = server

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Embedded]:
        """Run a server while the context is open."""
        with FlagServer({FLAG: False}) as server:
            yield cls(server)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment with which a function uses this server."""
        return self._server.environ

    def set_flag(self, *, enabled: bool) -> None:
        """Flip the flag."""
        self._server.set(FLAG, enabled)

    def wait_for_counts(self, app_name: str, total: int) -> Counts:
        """Return the counts at ``total``, or after `COUNTS_TIMEOUT`."""
        return self._server.wait_for_counts(
            FLAG, total, COUNTS_TIMEOUT, app_name=app_name
        )
