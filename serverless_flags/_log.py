"""What a session says in the log: each problem once, and when it is over."""

from __future__ import annotations

import logging

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
