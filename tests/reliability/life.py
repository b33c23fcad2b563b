"""Live one life under the real runtime, and write down everything that happens."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan import SETTINGS, Do, End, Plan, Step

from serverless_flags import EmulatorError
from serverless_flags.testing import Emulator, Exit, emulate
from serverless_flags.testing.faults import Exchange, Fault, FaultyFlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parent / "functions"
BUSY = 0.2
"""Seconds that a busy invocation lingers, beside what its instance is frozen."""


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation, as its caller saw it; times by ``time.monotonic``."""

    asked: float
    answered: float
    variant: str | None
    """The state that it evaluated; None when no answer came."""
    busy: bool


@dataclass(slots=True)
class Record:
    """What happened in one life."""

    plan: Plan
    calls: list[Call] = field(default_factory=list)
    flips: list[float] = field(default_factory=list)
    """When each state was in force at the latest; the first one before the birth."""
    faults: list[tuple[float, Fault]] = field(default_factory=list)
    freezes: list[tuple[float, float]] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    counted: int = 0
    """Evaluations that the server has."""
    exit: Exit | None = None
    failure: str | None = None
    """Why the life could not be lived."""
    output: str = ""


class Life:
    """One instance and its server, in a directory of their own."""

    def __init__(self, plan: Plan, client: str, directory: Path) -> None:
        self.record = Record(plan)
        self._plan = plan
        self._directory = directory
        self._state = directory / "flags.json"
        self._ledger = directory / "ledger"
        self._lock = threading.Lock()
        self._callers = 0
        self._ending = False
        self._flip()
        self._server = FaultyFlagServer(self._state)
        self._environ = {
            **SETTINGS,
            "LIFE_CACHE": str(directory),
            "LIFE_CLIENT": client,
            "LIFE_LEDGER": str(self._ledger),
            "SERVERLESS_FLAGS_CLIENT": plan.client,
            "UNLEASH_APP_NAME": plan.seed,
        }

    def live(self) -> Record:
        """Live it; never raises for what goes wrong in it."""
        plan, record = self._plan, self.record
        with self._server as server:
            environ = {**self._environ, **server.environ}
            target = f"{FUNCTIONS / plan.platform}.py:{plan.function}"
            instance = emulate(plan.platform, target, environ=environ, **plan.options)
            try:
                if plan.birth is not None:
                    self._fail(plan.birth)
                with instance:
                    self._live(instance)
                    record.output = instance.output
            except EmulatorError as error:
                record.failure = str(error)
            record.exchanges = list(server.exchanges)
            record.counted = sum(
                server.counts(flag).total for flag in ("simpleFlag", "version")
            )
        if self._ledger.exists():
            lines = self._ledger.read_text().splitlines()
            record.ledger = [json.loads(line) for line in lines]
        return record

    def _live(self, instance: Emulator) -> None:
        self._ask(instance, "ask:1")
        for step in self._plan.steps:
            self._do(instance, step)
        end = self._plan.end
        self._ending = end is End.SIGTERM_BUSY
        if end is End.KILL:
            instance.kill()
        elif end is End.SIGTERM:
            self.record.exit = instance.terminate()
        else:
            with self._busy(instance):
                self.record.exit = _interrupt(instance)

    def _do(self, instance: Emulator, step: Step) -> None:
        if step.do is Do.ASK:
            self._ask(instance, f"ask:{step.number}")
        elif step.do is Do.ASK_AT_ONCE:
            with ThreadPoolExecutor(step.number) as callers:
                for _ in range(step.number):
                    callers.submit(self._ask, instance, "ask:1")
        elif step.do is Do.FORK:
            self._ask(instance, f"fork:{step.number}")
        elif step.do is Do.FLIP:
            self._flip()
        elif step.do is Do.FREEZE:
            self._freeze(instance, step)
        elif step.do is Do.FREEZE_BUSY:
            with self._busy(instance):
                self._freeze(instance, step)
        elif step.do is Do.PAUSE:
            time.sleep(step.seconds)
        else:
            self._fail(step)

    def _ask(self, instance: Emulator, do: str, *, busy: bool = False) -> None:
        asked, variant = time.monotonic(), None
        self._enter(instance)
        try:
            answer = instance.request(f"/?do={do}")
            if answer.status == HTTPStatus.OK:
                variant = answer.json()["variant"]
            elif not busy:
                self.record.failure = f"{answer.status} {answer.body}"
        except EmulatorError as error:
            if not busy:  # else SIGTERM was in its way
                self.record.failure = str(error)
        self._leave(instance)
        self.record.calls.append(Call(asked, time.monotonic(), variant, busy))

    def _enter(self, instance: Emulator) -> None:
        """Thaw a throttled instance for the first of its callers."""
        with self._lock:
            self._callers += 1
            if self._plan.throttled and self._callers == 1:
                instance.thaw()

    def _leave(self, instance: Emulator) -> None:
        """Freeze it behind the last one."""
        with self._lock:
            self._callers -= 1
            if self._plan.throttled and not self._callers and not self._ending:
                instance.freeze()

    @contextmanager
    def _busy(self, instance: Emulator) -> Iterator[None]:
        """Be in the middle of an invocation that has evaluated already."""
        before = self._lingered()
        arguments = {"args": (instance, f"linger:{BUSY}"), "kwargs": {"busy": True}}
        caller = threading.Thread(target=self._ask, **arguments)
        caller.start()
        while caller.is_alive() and self._lingered() == before:
            time.sleep(0.002)
        try:
            yield
        finally:
            caller.join()

    def _lingered(self) -> int:
        text = self._ledger.read_text() if self._ledger.exists() else ""
        return text.count("lingering")

    def _flip(self) -> None:
        """Put the next state in force: its number is the name of a variant."""
        number = len(self.record.flips)
        new = self._directory / "new.json"
        new.write_text(json.dumps(_state(number)))
        os.replace(new, self._state)
        self.record.flips.append(time.monotonic())

    def _freeze(self, instance: Emulator, step: Step) -> None:
        awake = self._callers or not self._plan.frozen_when_idle
        began = time.monotonic()
        if awake:
            instance.freeze()
        if step.flips:
            self._flip()
        time.sleep(step.seconds)
        if awake:
            instance.thaw()
        self.record.freezes.append((began, time.monotonic()))

    def _fail(self, step: Step) -> None:
        began = time.monotonic()
        self._server.delay = step.seconds
        self._server.fault = step.fault
        self._server.release()
        well = step.fault is Fault.NONE
        self.record.faults.append((time.monotonic() if well else began, step.fault))


def _interrupt(instance: Emulator) -> Exit:
    """Send SIGTERM in the middle of an invocation, and SIGKILL after the grace."""
    began = time.monotonic()
    instance._send_sigterm()
    try:
        instance.process.wait(instance.shutdown_grace)
        killed = False
    except subprocess.TimeoutExpired:
        instance.kill()
        killed = True
    return Exit(instance.process.returncode, time.monotonic() - began, killed)


def _state(number: int) -> dict[str, Any]:
    """Return the flags of one state: its number is the name of a variant."""
    strategies = [{"name": "default", "constraints": [], "parameters": {}}]
    variant = {
        "name": str(number),
        "weight": 1000,
        "weightType": "variable",
        "stickiness": "default",
        "overrides": [],
    }
    flags = [("simpleFlag", number % 2 == 0, []), ("version", True, [variant])]
    features = [
        {
            "name": name,
            "enabled": enabled,
            "strategies": strategies,
            "variants": variants,
        }
        for name, enabled, variants in flags
    ]
    return {"version": 2, "features": features}
