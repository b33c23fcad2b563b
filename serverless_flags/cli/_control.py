"""What the demo asks of a flag server, and the embedded one that answers it."""

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
"""Seconds to wait for counts; an instance that has ended has sent them already."""


class Control(Protocol):
    """A flag server whose flag the demo flips and whose counts it reads."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that points a function at the server."""

    def set_flag(self, *, enabled: bool) -> None:
        """Flip the flag and return when a function would fetch it so."""

    def wait_for_counts(self, app_name: str, total: int) -> Counts:
        """Return what an application counted once it is ``total``, or in the end."""


class Embedded:
    """The flag server of this package, in this process."""

    def __init__(self, server: FlagServer) -> None:
        self._server = server

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Embedded]:
        """Start a server for the time of the context."""
        with FlagServer({FLAG: False}) as server:
            yield cls(server)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that points a function at the server."""
        return self._server.environ

    def set_flag(self, *, enabled: bool) -> None:
        """Flip the flag."""
        self._server.set(FLAG, enabled)

    def wait_for_counts(self, app_name: str, total: int) -> Counts:
        """Return the counts, waiting for them a little."""
        return self._server.wait_for_counts(
            FLAG, total, COUNTS_TIMEOUT, app_name=app_name
        )
