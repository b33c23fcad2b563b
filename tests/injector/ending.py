"""What must hold after a session was closed: its counts, threads and locks."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from held import held_locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from world import Ledger, Server

    from serverless_flags import FlagSession

SETTLE_TIMEOUT = 5.0
"""Seconds after closing in which threads must end and counts must arrive."""

RECORDING_TIMEOUT = 0.5
"""The same for an uninterrupted trial, which shows what always remains."""


class Ending:
    """
    The checks after one session was closed.

    Args:
        session: the closed session.
        threads: the threads that ran before the session was created.
        usual: names of what remains after every trial; None while this is not known.
    """

    def __init__(
        self,
        session: FlagSession,
        threads: set[threading.Thread],
        usual: set[str] | None,
    ) -> None:
        self._session = session
        self._threads = threads
        self._usual = usual
        self.timeout = SETTLE_TIMEOUT
        """Seconds to wait for threads and counts."""
        self.remaining: set[str] = set()
        """Names of the threads and places of the held locks that remain."""

    def violations(
        self, server: Server, ledger: Ledger, uncertain: int
    ) -> Iterator[tuple[str, str]]:
        """
        Yield violations: the kind, and a description.

        Args:
            server: the flag server, which has the counts.
            ledger: has the evaluations.
            uncertain: number of answered evaluations that need not be counted.
        """
        yield from self._miscounted(server, ledger, uncertain)
        self.remaining = self._until_usual(self._new_threads)
        self.remaining |= self._until_usual(lambda: held_locks(self._session))
        if self._usual is not None and self.remaining - self._usual:
            yield (
                "remaining",
                f"remaining after close: {', '.join(sorted(self.remaining))}",
            )

    def _miscounted(
        self, server: Server, ledger: Ledger, uncertain: int
    ) -> Iterator[tuple[str, str]]:
        made, asked = ledger.answered.total(), ledger.asked.total()
        deadline = time.monotonic() + self.timeout
        while (
            self._accounted(server) < made - uncertain and time.monotonic() < deadline
        ):
            time.sleep(0.005)
        found, counts = self._accounted(server), server.counts()
        if found < made - uncertain:
            yield "lost", f"{made - found} of {made} evaluations"
        more = sorted(name for name, n in counts.items() if n > ledger.asked[name])
        if found > asked or more:
            yield "twice", f"{found} of {asked} evaluations are counted {more}"

    def _accounted(self, server: Server) -> int:
        """Return the number of evaluations that the server or the status has."""
        status = self._session.status
        return server.counts().total() + status.uncounted + status.unknown_counts

    def _new_threads(self) -> set[str]:
        """Return the names of new threads that still run."""
        new = set(threading.enumerate()) - self._threads
        running = sys._current_frames()
        return {thread.name for thread in new if thread.ident in running}

    def _until_usual(self, find: Callable[[], set[str]]) -> set[str]:
        """Call ``find`` until it finds nothing unusual, or until a timeout."""
        usual = self._usual or set()
        timeout = RECORDING_TIMEOUT if self._usual is None else self.timeout
        deadline = time.monotonic() + timeout
        while (found := find()) - usual and time.monotonic() < deadline:
            time.sleep(0.005)
        return found
