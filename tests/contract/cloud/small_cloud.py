"""The smallest adapter that passes the contract, and breaches of it on demand."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from serverless_flags import FlagSession, Platform, hookimpl, signals

if TYPE_CHECKING:
    from collections.abc import Mapping

BREACH = os.environ.get("SMALL_CLOUD_BREACH", "")


class SmallCloud(Platform):
    name = "small_cloud"
    specificity = 1
    shutdown_grace = 2.0

    @hookimpl
    def connect_instance(self, session: FlagSession) -> bool | None:
        if BREACH == "forgets":
            return None
        if BREACH == "sigterm":  # claims to be connected, and handles no signal
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return True
        return signals.connect_sigterm(session, grace=self.shutdown_grace)

    @hookimpl
    def read_invocation(self) -> object:
        return {"userId": "7"} if BREACH == "vague" else None


@hookimpl
def detect_platform(environ: Mapping[str, str]) -> Platform | None:
    return SmallCloud() if BREACH == "greedy" or "SMALL_CLOUD" in environ else None
