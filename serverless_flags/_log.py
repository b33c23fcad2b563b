"""What a session says in the log: each trouble once, and when it is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serverless_flags._work.counts import Counts

logger = logging.getLogger("serverless_flags")


class Reporter:
    """One warning for each kind of trouble, until it has passed. Takes no lock."""

    def __init__(self) -> None:
        self._open: dict[str, object] = {}

    def warn(
        self, trouble: str, message: str, *args: object, exc_info: bool = False
    ) -> None:
        """Log a warning unless this trouble has been reported and lasts."""
        mine = object()
        known = self._open.setdefault(trouble, mine) is not mine
        level = logging.DEBUG if known else logging.WARNING
        logger.log(level, message, *args, exc_info=exc_info)

    def passed(self, trouble: str, message: str, *args: object) -> None:
        """Log that a reported trouble has passed."""
        if self._open.pop(trouble, None) is not None:
            logger.info(message, *args)

    def warn_of_losses(self, uncounted: int, counts: Counts | None) -> None:
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
