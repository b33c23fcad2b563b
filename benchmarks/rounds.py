"""
Rounds: each contender once per round, in shuffled order, in its own process.

A machine's speed drifts by more than the differences that are compared here, but
hardly within one round. So the results of a run are the ratios of each round, and the
median of these.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyperf

Values = Mapping[str, float]
"""What one process has measured: values by quantity, in seconds, bytes or numbers."""

GIVE_UP_AFTER = 120.0
"""Seconds after which a contender that has not ended fails the benchmark."""

UNITS = {"seconds": "second", "bytes": "byte", "number": "integer"}


class ContenderError(Exception):
    """Raised when a contender fails; the message has its output."""


@dataclass(frozen=True)
class Contender:
    """
    One of the programs that a topic compares.

    The process prints a line when it is done, and may print one more: JSON with what it
    has measured itself, by quantity. `cold` adds the time to the first line.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


def quantity(name: str, unit: str) -> str:
    """Return the key of a quantity: ``first flag [seconds]``."""
    assert unit in UNITS, unit
    return f"{name} [{unit}]"


FIRST_FLAG = quantity("first flag", "seconds")


def cold(contender: Contender) -> Values:
    """Run a contender's process; add the seconds from its start to its first line."""
    began = time.perf_counter()
    with subprocess.Popen(
        contender.command,
        env=clean_environ() | dict(contender.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        ended = False
        try:
            first = _first_line(process)
            seconds = time.perf_counter() - began
            rest, errors = process.communicate(timeout=GIVE_UP_AFTER)
            ended = True
        finally:
            if not ended:
                process.kill()
    if process.returncode or not first:
        message = f"{contender.name}: {process.returncode}\n{errors.decode()}"
        raise ContenderError(message)
    lines = (first + rest).decode().splitlines()
    report = json.loads(lines[1]) if len(lines) > 1 else {}
    return {FIRST_FLAG: seconds, **report}


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(GIVE_UP_AFTER):
            return b""
    return os.read(process.stdout.fileno(), 65536)


def clean_environ() -> dict[str, str]:
    """Return an environment without variables of platforms, flags and bytecode."""
    kept = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def interleave(
    contenders: Sequence[Contender],
    rounds: int,
    *,
    measure: Callable[[Contender], Values] = cold,
    warmups: int = 1,
    seed: int = 2026,
    group: str = "",
) -> list[pyperf.Benchmark]:
    """
    Measure every contender ``rounds`` times and return one benchmark per quantity.

    Args:
        contenders: what to compare.
        rounds: how often; the order is shuffled anew in each.
        measure: runs one contender once.
        warmups: rounds whose values are discarded, because files are read first then.
        seed: of the random order.
        group: the beginning of the benchmarks' names, such as ``100 flags, TLS``.
    """
    shuffle = random.Random(seed).shuffle  # noqa: S311  reason: it shuffles, and guards no secret
    taken: dict[str, list[pyperf.Run]] = {}
    order = list(contenders)
    for number in range(-warmups, rounds):
        shuffle(order)
        for contender in order:
            values = measure(contender)
            for name, value in values.items() if number >= 0 else ():
                title = title_of(group, contender.name, name)
                taken.setdefault(title, []).append(_run(title, name, value, number))
    return [pyperf.Benchmark(runs) for runs in taken.values()]


def title_of(group: str, contender: str, name: str) -> str:
    """Return the name of a benchmark in a suite."""
    return f"{group} | {contender} | {name}"


def _run(title: str, name: str, value: float, number: int) -> pyperf.Run:
    unit = UNITS[name.rsplit("[", 1)[1].rstrip("]")]
    metadata = {"name": title, "unit": unit, "round": number}
    # pyperf refuses a zero, which a number may be.
    return pyperf.Run(
        [max(float(value), 1e-12)], metadata=metadata, collect_metadata=False
    )


class Results:
    """The benchmarks of one topic, by group, contender and quantity."""

    def __init__(self, suite: pyperf.BenchmarkSuite) -> None:
        self._by_title = {
            benchmark.get_name(): benchmark for benchmark in suite.get_benchmarks()
        }

    def titles(self) -> list[str]:
        """Return the names of all benchmarks: `title_of` group, contender, quantity."""
        return list(self._by_title)

    def groups(self) -> list[str]:
        """Return the groups, in the order in which they were measured."""
        return list(dict.fromkeys(title.split(" | ")[0] for title in self._by_title))

    def contenders(self, group: str) -> list[str]:
        """Return the contenders of a group, in no particular order."""
        parts = (title.split(" | ") for title in self._by_title)
        return sorted({contender for name, contender, _ in parts if name == group})

    def values(self, group: str, contender: str, name: str) -> list[float]:
        """Return the values of a quantity, round by round."""
        benchmark = self._by_title[title_of(group, contender, name)]
        by_round = {
            run.get_metadata()["round"]: run.values[0] for run in benchmark.get_runs()
        }
        return [by_round[number] for number in sorted(by_round)]

    def median(self, group: str, contender: str, name: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.values(group, contender, name))

    def ratio(self, group: str, contender: str, to: str, name: str) -> float:
        """Return the median of the ratios to another contender, round by round."""
        ours = self.values(group, contender, name)
        theirs = self.values(group, to, name)
        return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
