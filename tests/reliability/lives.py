"""
Live many lives: ``python tests/reliability/lives.py --platform aws_lambda``.

Each is drawn from the seed and its number; ``--only NUMBER`` repeats one. The exit
code is 1 when a life proves a broken promise.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from life import Life
from plan import LIMIT, VARIANTS, draw
from verdict import Verdict, judge, judge_baseline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from record import Record

BASELINE_LIMIT = 2.0
"""Seconds: twice the shortest interval at which UnleashClient refreshes."""

JUDGES = {"session": judge, "plain": judge_baseline}
"""What lives: a session, or UnleashClient as its tutorial uses it."""


@dataclass(slots=True)
class Summary:
    """The numbers of many lives."""

    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """Lives that proved a broken promise."""
        return sum(bool(verdict.wrong) for verdict in self.verdicts)

    def rows(self) -> Iterator[tuple[str, object]]:
        """Yield the rows of the report."""
        yield "lives", len(self.verdicts)
        for name, text in _SUMS.items():
            yield text, sum(getattr(verdict, name) for verdict in self.verdicts)
        ages = [age for verdict in self.verdicts for age in verdict.ages]
        for limit in (LIMIT, BASELINE_LIMIT):
            text = f"invocations that saw flags superseded for more than {limit} s"
            yield text, sum(age > limit for age in ages)
        yield "the longest of these times, in s", f"{max(ages, default=0.0):.2f}"


_SUMS = {
    "invocations": "invocations",
    "cuts": "of these, cut by a limit or a cancellation",
    "made": "evaluations",
    "cut": "cut in the middle of them, counted or not",
    "counted": "counted by the server",
    "killed": "lost to a kill without a signal",
    "unanswered": "lost in a request without an answer",
    "refused": "lost to a server that refused to the end",
    "silent": "lost for no such reason",
    "doubted": "reported unanswered and counted",
    "after_freeze": "invocations after a long freeze",
    "defaults": "invocations that saw defaults",
}


def main() -> int:
    """Live all, print what was proven, return the exit code."""
    options = _options()
    began = time.monotonic()
    today = datetime.now(timezone.utc).date()
    _say(options.platform, options.client, f"Python {python_version()}", today)
    _say("seed", options.seed)
    summary = Summary()
    for number, record in _live_all(options):
        verdict = JUDGES[options.client](record)
        summary.verdicts.append(verdict)
        if options.only or verdict.wrong:
            _say(_describe(number, record, verdict))
    for text, value in summary.rows():
        _say(f"{text:55} {value:>8}")
    _say(f"{time.monotonic() - began:.0f} s, {summary.wrong} lives went wrong")
    return min(1, summary.wrong)


def _say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201  reason: a command line prints


def _live_all(options: argparse.Namespace) -> Iterator[tuple[int, Record]]:
    """Live several at a time; yield each that has ended."""
    numbers = options.only or range(options.first, options.first + options.lives)
    with ThreadPoolExecutor(options.jobs) as pool:
        lives = {pool.submit(_live, options, number): number for number in numbers}
        for life in as_completed(lives):
            yield lives.pop(life), life.result()


def _live(options: argparse.Namespace, number: int) -> Record:
    plan = draw(options.platform, options.seed, number)
    with tempfile.TemporaryDirectory() as directory:
        return Life(plan, options.client, Path(directory)).live()


def _describe(number: int, record: Record, verdict: Verdict) -> str:
    return "\n".join(
        [
            f"life {number}: {'; '.join(verdict.wrong) or 'as promised'}",
            f"    {record.plan}",
            f"    {verdict}",
            *([f"    {record.failure}"] if record.failure else []),
            *(f"    > {line}" for line in record.output.splitlines()),
        ]
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("--platform", choices=VARIANTS, required=True)
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--client", choices=JUDGES, default="session")
    parser.add_argument("--jobs", type=int, default=4, help="lives at a time")
    parser.add_argument("--first", type=int, default=0, help="number of the first life")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of lives")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
