"""
Live many lives: ``python tests/reliability/lives.py --platform aws_lambda``.

Each is drawn from the seed and its number, and can be lived again with ``--only``.
Exits with 1 when one of them proves what must not be.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from life import Life
from plan import LIMIT, VARIANTS, draw
from verdict import Verdict, judge


@dataclass(slots=True)
class Summary:
    """Many lives in numbers."""

    lives: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    failed: list[tuple[str, Verdict]] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Return the sum of one number."""
        return sum(getattr(verdict, name) for verdict in self.verdicts)


def main() -> int:
    """Live, print what was proven, return the exit code."""
    arguments = _arguments()
    plain = arguments.client == "plain"
    numbers = arguments.only or range(arguments.lives)
    summary, began = Summary(), time.monotonic()
    print(f"seed {arguments.seed}", flush=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        futures = {
            pool.submit(_live, arguments.platform, arguments.seed, number, arguments.client): number
            for number in numbers
        }
        for future in as_completed(futures):
            plan, verdict, output = future.result()
            summary.verdicts.append(verdict)
            if verdict.wrong or arguments.only:
                print(f"life {futures[future]}: {verdict}\n  {plan}\n{output}", flush=True)
            if verdict.wrong:
                summary.failed.append((plan, verdict))
    _report(summary, arguments, time.monotonic() - began)
    return 0 if plain or not summary.failed else 1


def _live(platform: str, seed: int, number: int, client: str):
    plan = draw(platform, seed, number)
    with tempfile.TemporaryDirectory() as directory:
        record = Life(plan, client, Path(directory)).live()
    return str(plan), judge(record, promised=client == "session"), record.output


def _report(summary: Summary, arguments: argparse.Namespace, seconds: float) -> None:
    total = summary.total
    print(
        f"{arguments.platform} {arguments.client}: {len(summary.verdicts)} lives in {seconds:.0f} s, "
        f"{total('calls')} invocations, {total('made')} evaluations, {total('taken')} counted; "
        f"lost {total('lost')}: unheard {total('unheard')}, reported unanswered {total('unanswered')}, refused {total('refused')}; "
        f"{total('stale')} invocations saw flags superseded for more than {LIMIT} s, "
        f"the oldest for {max((v.oldest for v in summary.verdicts), default=0):.2f} s; "
        f"{len(summary.failed)} lives went wrong"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--platform", choices=VARIANTS, required=True)
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--client", choices=["session", "plain"], default="session")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", type=int, nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
