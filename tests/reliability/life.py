"""Live one life under the real runtime, and record everything that happens."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from plan import SETTINGS, Do, End, Plan, Step
from record import Call, Record
from states import Broken, state

from serverless_flags import EmulatorError
from serverless_flags.testing import Emulator, Exit, emulate
from serverless_flags.testing.faults import Fault, FaultyFlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parent / "functions"
BUSY = 0.2
"""Seconds that a busy invocation lasts, in addition to its frozen time."""

_ASKS = {
    Do.ASK: "ask:{0.number}",
    Do.CUT: "rest:{0.number}&cut={0.seconds:.6f}",
    Do.FORK: "fork:{0.number}",
    Do.CHILD: "child:{0.number}",
}
"""What the function is asked to do for a step of one invocation."""


class Life:
    """One instance and its server, in their own directory."""

    def __init__(self, plan: Plan, client: str, directory: Path) -> None:
        self.record = Record(plan)
        self._plan = plan
        self._directory = directory
        self._state = directory / "flags.json"
        self._ledger = directory / "ledger"
        self._address = directory / "address"
        self._broken = Broken.NOTHING
        self._lock = threading.Lock()
        self._callers = 0
        self._ending = False
        self._flip()
        self._server = FaultyFlagServer(self._state)
        self._environ = {
            **SETTINGS,
            "LIFE_ADDRESS": str(self._address),
            "LIFE_CACHE": str(directory),
            "LIFE_CLIENT": client,
            "LIFE_LEDGER": str(self._ledger),
            "SERVERLESS_FLAGS_CLIENT": plan.client,
            "UNLEASH_APP_NAME": plan.seed,
        }

    def live(self) -> Record:
        """Live the life; failures in it are recorded and not raised."""
        plan, record = self._plan, self.record
        with self._server as server:
            environ = {**self._environ, **server.environ}
            environ["UNLEASH_URL"] = f"http://flags.test:{server.port}/api"
            self._publish(server.address)
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
        if self._plan.cut is None:
            self._ask(instance, "ask:1")
        else:
            self._do(instance, Step(Do.CUT, 1, self._plan.cut))
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
        if step.do in _ASKS:
            self._ask(instance, _ASKS[step.do].format(step))
        elif step.do is Do.ASK_AT_ONCE:
            with ThreadPoolExecutor(step.number) as callers:
                for _ in range(step.number):
                    callers.submit(self._ask, instance, "ask:1")
        elif step.do is Do.FREEZE:
            self._freeze(instance, step)
        elif step.do is Do.FREEZE_BUSY:
            with self._busy(instance):
                self._freeze(instance, step)
        elif step.do is Do.PAUSE:
            time.sleep(step.seconds)
        else:
            self._change(step)

    def _change(self, step: Step) -> None:
        """Change the flags, or their server."""
        if step.do is Do.FLIP:
            self._flip()
        elif step.do is Do.BREAK:
            self._broken = step.broken
            self._flip()
        elif step.do is Do.MOVE:
            self._move()
        else:
            self._fail(step)

    def _ask(self, instance: Emulator, do: str, *, busy: bool = False) -> None:
        asked, variant = time.monotonic(), None
        self._enter(instance)
        try:
            answer = instance.request(f"/?do={do}")
            if answer.status == HTTPStatus.OK and '"variant"' in answer.body:
                variant = answer.json()["variant"]
            elif not busy:
                self.record.failure = f"{answer.status} {answer.body}"
        except EmulatorError as error:
            if not busy:  # else SIGTERM was in its way
                self.record.failure = str(error)
        self._leave(instance)
        self.record.calls.append(Call(asked, time.monotonic(), variant, busy))

    def _enter(self, instance: Emulator) -> None:
        """Thaw a throttled instance for the first of its concurrent invocations."""
        with self._lock:
            self._callers += 1
            if self._plan.throttled and self._callers == 1:
                instance.thaw()

    def _leave(self, instance: Emulator) -> None:
        """Freeze it after the last of its concurrent invocations."""
        with self._lock:
            self._callers -= 1
            if self._plan.throttled and not self._callers and not self._ending:
                instance.freeze()

    @contextmanager
    def _busy(self, instance: Emulator) -> Iterator[None]:
        """Wait until an invocation has evaluated flags and still runs."""
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
        """Serve the next flags, whose number is the name of a variant."""
        number = len(self.record.flips)
        new = self._directory / "new.json"
        new.write_text(json.dumps(state(number, self._broken)))
        os.replace(new, self._state)
        self.record.flips.append(time.monotonic())

    def _move(self) -> None:
        """Move the server to its other address, and point its name there."""
        self._publish(self._server.move())
        self.record.moves.append(time.monotonic())

    def _publish(self, address: str) -> None:
        new = self._directory / "new address"
        new.write_text(address)
        os.replace(new, self._address)

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
