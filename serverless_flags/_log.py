"""What a session says in the log: each problem once, and when it is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serverless_flags._work.counts import PendingCounts

logger = logging.getLogger("serverless_flags")


class ProblemLog:
    """One warning for each kind of problem, until it has passed. Takes no lock."""

    def __init__(self) -> None:
        self._open: dict[str, object] = {}

    def warn(
        self, problem: str, message: str, *args: object, exc_info: bool = False
    ) -> None:
        """Log a warning unless this problem has been reported and lasts."""
        mine = object()
        known = self._open.setdefault(problem, mine) is not mine
        level = logging.DEBUG if known else logging.WARNING
        logger.log(level, message, *args, exc_info=exc_info)

    def resolved(self, problem: str, message: str, *args: object) -> None:
        """Log that a reported problem has passed."""
        if self._open.pop(problem, None) is not None:
            logger.info(message, *args)

    def warn_of_losses(self, uncounted: int, counts: PendingCounts | None) -> None:
        """Log what the server will never have, or may not: a session's last line."""
        uncounted += 0 if counts is None else counts.uncounted
        unknown = 0 if counts is None else counts.unknown
        if uncounted or unknown:
            self.warn(
                "end",
                "the session has ended: %s evaluations were not counted, %s were sent"
                " and not answered",
                uncounted,
                unknown,
            )
