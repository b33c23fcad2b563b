"""The log of a session: each problem is logged once, and once when it is resolved."""

from __future__ import annotations

import logging

logger = logging.getLogger("serverless_flags")


class ProblemLog:
    """Log one warning per kind of problem until it is resolved; acquires no lock."""

    def __init__(self) -> None:
        self._open: dict[str, object] = {}

    def warn(
        self, problem: str, message: str, *args: object, exc_info: bool = False
    ) -> None:
        """Log a warning, or at level DEBUG while the same problem is open."""
        marker = object()
        known = self._open.setdefault(problem, marker) is not marker
        level = logging.DEBUG if known else logging.WARNING
        logger.log(level, message, *args, exc_info=exc_info)

    def resolved(self, problem: str, message: str, *args: object) -> None:
        """Log at level INFO that an open problem is resolved."""
        if self._open.pop(problem, None) is not None:
            logger.info(message, *args)
