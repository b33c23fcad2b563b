"""What must hold when a session has ended: its counts, its threads and its locks."""

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

SETTLED = 5.0
"""Seconds in which threads end and counts arrive after the session's end."""

LEARNING = 0.5
"""Likewise, in the trial that shows what stays in any case."""


class Ending:
    """
    The end of one session.

    Args:
        session: it is closed.
        threads: those that were there before it.
        usual: what is left of every trial; None where that is to be found out.
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
        self.patience = SETTLED
        """Seconds to wait for what is still to come."""
        self.left: set[str] = set()
        """Names of threads and places of held locks that have stayed."""

    def violations(
        self, server: Server, ledger: Ledger, doubtful: int
    ) -> Iterator[tuple[str, str]]:
        """
        Yield kinds of violations, each with what was seen.

        Args:
            server: has the counts.
            ledger: has the evaluations.
            doubtful: how many answered evaluations need not be counted.
        """
        yield from self._miscounted(server, ledger, doubtful)
        self.left = self._until_usual(self._new_threads)
        self.left |= self._until_usual(lambda: held_locks(self._session))
        if self._usual is not None and self.left - self._usual:
            yield "left", f"still there at the end: {', '.join(sorted(self.left))}"

    def _miscounted(
        self, server: Server, ledger: Ledger, doubtful: int
    ) -> Iterator[tuple[str, str]]:
        made, asked = ledger.answered.total(), ledger.asked.total()
        deadline = time.monotonic() + self.patience
        while self._found(server) < made - doubtful and time.monotonic() < deadline:
            time.sleep(0.005)
        found, counts = self._found(server), server.counts()
        if found < made - doubtful:
            yield "lost", f"{made - found} of {made} evaluations"
        more = sorted(name for name, n in counts.items() if n > ledger.asked[name])
        if found > asked or more:
            yield "twice", f"{found} of {asked} evaluations are counted {more}"

    def _found(self, server: Server) -> int:
        """Return how many evaluations are accounted for."""
        status = self._session.status
        return server.counts().total() + status.uncounted + status.unknown_counts

    def _new_threads(self) -> set[str]:
        """Return the names of new threads that run; `threading` lists others too."""
        new = set(threading.enumerate()) - self._threads
        running = sys._current_frames()
        return {thread.name for thread in new if thread.ident in running}

    def _until_usual(self, find: Callable[[], set[str]]) -> set[str]:
        """Ask until nothing unusual is found, for some time; return what is."""
        usual = self._usual or set()
        patience = LEARNING if self._usual is None else self.patience
        deadline = time.monotonic() + patience
        while (found := find()) - usual and time.monotonic() < deadline:
            time.sleep(0.005)
        return found
