"""The events of one life, drawn from a seed so that it can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum

from states import Broken

from serverless_flags.testing.faults import Fault

MAX_AGE = 0.25
STALE_WHILE_REVALIDATE = 0.5
LIMIT = MAX_AGE + STALE_WHILE_REVALIDATE
"""Seconds that flags may be old at the start of an invocation."""

FLUSH_INTERVAL = 0.5
REFRESH_TIMEOUT = 0.5
REQUEST_TIMEOUT = 1.0

SETTINGS = {
    "SERVERLESS_FLAGS_MAX_AGE": str(MAX_AGE),
    "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": str(STALE_WHILE_REVALIDATE),
    "SERVERLESS_FLAGS_FLUSH_INTERVAL": str(FLUSH_INTERVAL),
    "SERVERLESS_FLAGS_START_TIMEOUT": "2",
    "SERVERLESS_FLAGS_REFRESH_TIMEOUT": str(REFRESH_TIMEOUT),
    "SERVERLESS_FLAGS_FLUSH_TIMEOUT": "0.5",
    "SERVERLESS_FLAGS_REQUEST_TIMEOUT": str(REQUEST_TIMEOUT),
}

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]

VARIANTS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "aws_lambda": [
        ("function", {"polling": "true", "grace": "2"}),
        ("function", {"polling": "false", "grace": "2"}),
    ],
    "gcp_cloud_functions": [
        ("function", {"server": "gthread"}),
        ("function", {"server": "sync"}),
        ("function_async", {}),
    ],
    "azure_functions": [("function", {}), ("function_async", {})],
}
"""The functions and the options under which each platform may run them."""


class Do(Enum):
    """The events that may happen to an instance."""

    ASK = "ask"  # `number` evaluations in one invocation
    ASK_AT_ONCE = "ask at once"  # `number` invocations side by side
    CUT = "cut"  # likewise, cut by a limit after `seconds`, or a cancellation
    FORK = "fork"  # a child evaluates `number` times, sends and ends
    CHILD = "child"  # likewise one of multiprocessing, which ends by itself
    FLIP = "flip"  # the flag changes
    BREAK = "break"  # likewise, with or without a broken flag in addition
    MOVE = "move"  # the server's name resolves to another address
    FREEZE = "freeze"  # for `seconds`
    FREEZE_BUSY = "freeze busy"  # likewise, in the middle of an invocation
    PAUSE = "pause"  # nothing happens for `seconds`
    FAULT = "fault"  # the server fails, or works again


class End(Enum):
    """How an instance may end."""

    SIGTERM = "sigterm"  # idle
    SIGTERM_BUSY = "sigterm busy"  # in the middle of an invocation
    KILL = "kill"  # unheard


@dataclass(frozen=True, slots=True)
class Step:
    """One event in a life."""

    do: Do
    number: int = 0
    seconds: float = 0.0
    flips: bool = False
    """Whether the flag changes while the instance is frozen."""
    fault: Fault = Fault.NONE
    broken: Broken = Broken.NOTHING

    def __str__(self) -> str:
        details = {
            Do.FAULT: f" {self.fault.value} {self.seconds:.2f}",
            Do.FREEZE: f" {self.seconds:.2f}" + " flip" * self.flips,
            Do.FREEZE_BUSY: f" {self.seconds:.2f}" + " flip" * self.flips,
            Do.PAUSE: f" {self.seconds:.2f}",
            Do.CUT: f" {self.number} {self.seconds:.4f}",
            Do.BREAK: f" {self.broken.value}",
            Do.FLIP: "",
            Do.MOVE: "",
        }
        return self.do.value + details.get(self.do, f" {self.number}")


@dataclass(frozen=True, slots=True)
class Plan:
    """One life, from the instance's start to its end."""

    seed: str
    platform: str
    function: str
    options: dict[str, str]
    client: str
    """The session's flag client."""
    throttled: bool
    """Whether the life freezes it while no invocation runs."""
    birth: Step | None
    """The fault that the server has when the instance starts."""
    cut: float | None
    """Seconds after which the first invocation is cut, and a start with it."""
    steps: list[Step] = field(default_factory=list)
    end: End = End.SIGTERM

    @property
    def frozen_when_idle(self) -> bool:
        """Whether the instance is frozen when idle, as by Lambda's emulator."""
        return self.throttled or self.platform == "aws_lambda"

    def __str__(self) -> str:
        birth = [] if self.birth is None else [self.birth]
        cut = [] if self.cut is None else [f"cut {self.cut:.4f}"]
        steps = ", ".join(map(str, [*birth, *cut, *self.steps]))
        how = " throttled" if self.throttled else ""
        name = f"{self.platform} {self.function} {self.options} {self.client}{how}"
        return f"{name}: {steps}, {self.end.value}"


def draw(platform: str, seed: int, number: int) -> Plan:
    """Draw the life with a number; the same arguments give the same life."""
    text = f"{platform}-{seed}-{number}"
    dice = random.Random(text)
    function, options = dice.choice(VARIANTS[platform])
    client = dice.choice(["unleash", "lean"])
    throttled = platform == "gcp_cloud_functions" and dice.random() < 0.5
    birth = _fault(dice) if dice.random() < 0.15 else None
    cut = _cut_after(dice, 0.5) if dice.random() < 0.2 else None
    steps = [_step(dice) for _ in range(dice.randint(4, 10))]
    if dice.random() < 0.2:  # early: it takes a while until it is noticed
        steps.insert(dice.randint(0, 2), Step(Do.MOVE))
    end = dice.choices([End.SIGTERM, End.SIGTERM_BUSY, End.KILL], [6, 2, 2])[0]
    how = (text, platform, function, options, client, throttled)
    return Plan(*how, birth, cut, steps, end)


def _step(dice: random.Random) -> Step:
    draws = {
        Do.ASK: 8,
        Do.ASK_AT_ONCE: 2,
        Do.CUT: 3,
        Do.FORK: 1,
        Do.CHILD: 1,
        Do.FLIP: 5,
        Do.BREAK: 1,
        Do.MOVE: 1,
        Do.FREEZE: 5,
        Do.FREEZE_BUSY: 2,
        Do.PAUSE: 2,
        Do.FAULT: 3,
    }
    do = dice.choices(list(draws), list(draws.values()))[0]
    if do is Do.FAULT:
        return _fault(dice)
    if do is Do.CUT:
        return Step(do, dice.randint(1, 5), _cut_after(dice, 0.1))
    if do is Do.BREAK:
        return Step(do, broken=dice.choice(list(Broken)))
    number, flips = dice.randint(1, 5), dice.random() < 0.5
    if do in {Do.FREEZE, Do.FREEZE_BUSY} and dice.random() < 0.5:
        return Step(do, number, LIMIT * dice.uniform(1.1, 2.5), flips)  # a long one
    return Step(do, number, dice.uniform(0.02, 0.3), flips)


def _fault(dice: random.Random) -> Step:
    """Draw a fault or, more often, the end of one."""
    if dice.random() < 0.6:
        return Step(Do.FAULT)
    seconds, fault = dice.uniform(0.02, 0.15), dice.choice(FAULTS)
    return Step(Do.FAULT, seconds=seconds, fault=fault)


def _cut_after(dice: random.Random, most: float) -> float:
    """Draw seconds until a cut: half of them short, to hit the wrapper or a wait."""
    return 10 ** dice.uniform(-4, 0) * most
