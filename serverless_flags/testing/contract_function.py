"""
What the functions of `AdapterContract` do, whatever the cloud that calls them.

A function of the contract wraps `answer` with `flags` as its cloud demands::

    from serverless_flags.testing.contract_function import answer, flags

    @flags.wrap
    def function(event, context):
        return answer(event["queryStringParameters"]["do"])
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from serverless_flags import FlagSession
from serverless_flags.testing._contract_names import FLAG, FORKED, GATE

if TYPE_CHECKING:
    from collections.abc import Callable

HANDLER_SECONDS = 0.005

flags = FlagSession()


class ContractError(Exception):
    """Raised when the contract asks for an exception."""


def answer(do: str) -> str:
    """
    Evaluate the flag once, then do what the contract wants to see.

    Args:
        do: the query parameter of the same name; empty when there is none.

    Returns:
        JSON: what `AdapterContract` reads.
    """
    enabled = flags.is_enabled(FLAG)
    _ACTIONS[do]()
    status = flags.status
    return json.dumps(
        {
            "enabled": enabled,
            "pid": os.getpid(),
            "platform": status.platform,
            "state": status.state.value,
            "termination": status.termination,
        }
    )


def _nothing() -> None:
    """Be as fast as a function can be."""


def _work() -> None:
    time.sleep(HANDLER_SECONDS)


def _raise() -> None:
    message = "asked for"
    raise ContractError(message)


def _fork() -> None:
    """Let a child evaluate, send what it counted, and end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for _ in range(FORKED):
                with flags.invocation():
                    flags.is_enabled(FLAG)
            code = 0 if flags.close() else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status != 0:
        message = f"the child ended with {os.waitstatus_to_exitcode(status)}"
        raise ContractError(message)


def _hold() -> None:
    """Hold the locks that every log line needs, until the gate is closed."""
    with ExitStack() as locks:
        locks.enter_context(logging._lock)  # type: ignore[attr-defined]  # noqa: SLF001  reason: what a thread holds that is about to log
        for handler in (*logging.root.handlers, logging.lastResort):
            if handler is not None and handler.lock is not None:
                locks.enter_context(handler.lock)
        _wait()


def _wait() -> None:
    with open(os.environ[GATE], "rb") as gate:
        gate.read()


_ACTIONS: dict[str, Callable[[], None]] = {
    "": _nothing,
    "work": _work,
    "raise": _raise,
    "fork": _fork,
    "hold": _hold,
    "wait": _wait,
}
