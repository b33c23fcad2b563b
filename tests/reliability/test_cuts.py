"""The limits that cut an invocation do so, and note an exception that was caught."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parent / "functions"
SOON = 0.01
LATE = 20.0
LIMITS = ["by_alarm", "by_framework", "by_thread"]
SWALLOW = """
def swallow():
    try:
        while True:
            sleep(0.001)
    except Exception:
        return "swallowed"
"""


@pytest.fixture(name="ledger")
def _ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFE_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.syspath_prepend(str(FUNCTIONS))
    yield tmp_path / "ledger"
    for name in ("cuts", "ledger"):
        sys.modules.pop(name, None)


@pytest.fixture(name="cuts")
def _cuts(ledger):
    return importlib.import_module("cuts")


@pytest.fixture(name="noted")
def _noted(ledger):
    def noted():
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        return [(line["kind"], line.get("wrong")) for line in lines]

    return noted


def swallow_in(module):
    """Return a function of this module that catches an exception."""
    namespace = {"__name__": module, "sleep": time.sleep}
    exec(SWALLOW, namespace)
    return namespace["swallow"]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_function_that_takes_too_long(cuts, noted, limit):
    """It ends at the limit, and its caller gets the answer of a cut."""

    def spin():
        while True:
            time.sleep(0.001)

    assert "cut" == getattr(cuts, limit)(SOON, spin, "cut")
    assert [("cut", None)] == noted()


@pytest.mark.parametrize("limit", LIMITS)
def test_a_function_in_time(cuts, noted, limit):
    """Nothing happens, and nothing does later."""
    assert "done" == getattr(cuts, limit)(LATE, lambda: "done", "cut")
    assert [] == noted()


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        ("serverless_flags._invocation.scope", True),
        ("serverless_flags.clients.lean", False),
        ("UnleashClient", False),
    ],
)
def test_an_alarm_that_is_swallowed(cuts, noted, module, wrong):
    """The session must not catch it; an engine may take it for its own failure."""
    assert "cut" == cuts.by_alarm(SOON, swallow_in(module), "cut")
    assert [("swallowed", wrong)] == noted()


def test_an_alarm_in_a_hook_of_an_adapter_counts_as_its_failure(cuts, noted):
    """Even while the hook calls the session's own functions."""
    inner = swallow_in("serverless_flags._signals.watcher")
    namespace = {"__name__": "serverless_flags_aws_lambda._platform", "inner": inner}
    exec("def hook():\n    return inner()", namespace)

    assert "cut" == cuts.by_alarm(SOON, namespace["hook"], "cut")
    assert [("swallowed", False)] == noted()


@pytest.mark.parametrize("limit", ["by_framework", "by_thread"])
def test_what_is_swallowed_in_a_thread(cuts, noted, limit):
    """It is noted, although it is unknown where it was raised."""
    assert "cut" == getattr(cuts, limit)(SOON, swallow_in("anything"), "cut")
    assert [("swallowed", False)] == noted()


async def sleep():
    await asyncio.sleep(LATE)


async def swallow():
    try:
        await asyncio.sleep(LATE)
    except asyncio.CancelledError:
        return "swallowed"


async def return_at_once():
    return "done"


@pytest.mark.parametrize(
    ("seconds", "call", "answered", "notes"),
    [
        (SOON, sleep, "cut", [("cut", None)]),
        (SOON, swallow, "cut", [("swallowed", True)]),
        (LATE, return_at_once, "done", []),
    ],
)
def test_a_cancellation(cuts, noted, seconds, call, answered, notes):
    """It ends the invocation, or is noted where it does not."""
    assert answered == asyncio.run(cuts.by_cancellation(seconds, call, "cut"))
    assert notes == noted()


def test_a_function_that_may_be_cut(cuts, noted):
    """Only a request that asks for it has a limit, for ``def`` and ``async def``."""

    @cuts.cuttable(cuts.by_thread, lambda request: request)
    def spin(request):
        for _ in range(20_000 if request else 1):
            time.sleep(0.001)
        return "done"

    @cuts.cuttable(cuts.by_cancellation, lambda request: request)
    async def wait(request):
        await asyncio.sleep(LATE if request else 0)
        return "done"

    assert ("done", cuts.CUT) == (spin(None), spin(str(SOON)))
    assert ["done", cuts.CUT] == [asyncio.run(wait(to)) for to in (None, str(SOON))]
    assert asyncio.iscoroutinefunction(wait)
    assert [("cut", None)] * 2 == noted()
