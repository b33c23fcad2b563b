"""What the functions of lives do: evaluate flags, and record the results."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time

import client
from ledger import note

PATIENCE = 10.0
"""Seconds that a child of multiprocessing may take."""

REST = 0.02
"""Seconds in the middle of an invocation that is to be cut."""


def evaluate() -> tuple[bool, str]:
    """
    Evaluate two flags: one that is on or off, one whose variant is a number.

    The ledger has a line before and after each evaluation. An evaluation that was cut
    has the first line only: whether it is counted is unknown.
    """
    note("question")
    enabled = client.flags.is_enabled("simpleFlag")
    note("evaluation", enabled=enabled)
    note("question")
    variant = client.flags.get_variant("version")["name"]
    note("evaluation", variant=variant)
    return enabled, variant


def answer(do: str) -> str:
    """
    Evaluate flags, and do what the plan of the life says.

    Args:
        do: ``ask:N``, ``linger:SECONDS``, ``rest:N``, ``fork:N`` or ``child:N``.
    """
    answered = _evaluate(do)
    verb, _, number = do.partition(":")
    if verb == "linger":
        note("lingering")
        time.sleep(float(number))
        evaluate()
    elif verb == "rest":
        time.sleep(REST)
        evaluate()
    elif verb == "fork":
        _fork(int(number))
    elif verb == "child":
        _run_child(int(number))
    return answered


async def answer_async(do: str) -> str:
    """Do the same on a loop, and let it run where the plan cuts the invocation."""
    if not do.startswith("rest"):
        return answer(do)
    answered = _evaluate(do)
    await asyncio.sleep(REST)
    evaluate()
    return answered


def _evaluate(do: str) -> str:
    enabled, variant = evaluate()
    verb, _, number = do.partition(":")
    if verb in {"ask", "rest"}:
        for _ in range(int(number) - 1):
            evaluate()
    return json.dumps({"enabled": enabled, "variant": variant})


def _fork(evaluations: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            note("child")
            _invoke(evaluations)
            client.end_child()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _run_child(evaluations: int) -> None:
    """
    Run a child of multiprocessing, which ends as such children do.

    Its exit code has no meaning: forked from a pool's thread it is 1 on every Python
    (``concurrent.futures`` joins the thread that it is on).
    """
    read, write = os.pipe()
    forked = multiprocessing.get_context("fork")
    child = forked.Process(target=_live_as_child, args=(evaluations, write))
    child.start()
    os.close(write)
    child.join(PATIENCE)
    if child.exitcode is None:
        child.kill()
    with open(read, "rb") as reader:
        said = reader.read()
    if child.exitcode is None or said != b"done":
        message = f"a child said {said!r} and ended with {child.exitcode}"
        raise RuntimeError(message)


def _live_as_child(evaluations: int, write: int) -> None:
    note("child")
    _invoke(evaluations)
    os.write(write, b"done")


def _invoke(evaluations: int) -> None:
    for _ in range(evaluations):
        with client.invocation():
            evaluate()


client.start(note)
