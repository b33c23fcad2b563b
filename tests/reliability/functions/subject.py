"""What the functions of lives do: evaluate, and write down what they evaluated."""

from __future__ import annotations

import json
import os
import time

import client

LEDGER = os.open(os.environ["LIFE_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(kind: str, **facts: object) -> None:
    """Append a line to the ledger, which survives whatever happens to the process."""
    line = {"kind": kind, "pid": os.getpid(), "at": time.monotonic(), **facts}
    os.write(LEDGER, json.dumps(line).encode() + b"\n")


def evaluate() -> tuple[bool, str]:
    """Ask two flags: one that is on or off, one whose variant is the state's number."""
    note("question")
    enabled = client.flags.is_enabled("simpleFlag")
    note("evaluation", enabled=enabled)
    note("question")
    variant = client.flags.get_variant("version")["name"]
    note("evaluation", variant=variant)
    return enabled, variant


def answer(do: str) -> str:
    """
    Evaluate, and do what the life wants.

    Args:
        do: ``ask:N``, ``linger:SECONDS`` or ``fork:N``.
    """
    enabled, variant = evaluate()
    verb, _, number = do.partition(":")
    if verb == "ask":
        for _ in range(int(number) - 1):
            evaluate()
    elif verb == "linger":
        note("lingering")
        time.sleep(float(number))
        evaluate()
    elif verb == "fork":
        _fork(int(number))
    return json.dumps({"enabled": enabled, "variant": variant})


def _fork(evaluations: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            for _ in range(evaluations):
                with client.invocation():
                    evaluate()
            client.end_child()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


client.start(note)
