"""
``python -m benchmarks``: measure all topics, or those named, and write the page.

    python -m benchmarks                    # everything: 45 minutes on 2 cores
    python -m benchmarks cold --rounds 40
    python -m benchmarks --quick            # one round each, only to see that it runs
    python -m benchmarks --report           # only the page, from benchmarks/results
"""

from __future__ import annotations

import argparse
import importlib
import platform
import subprocess
import time
from pathlib import Path
from types import ModuleType

import pyperf

from benchmarks import report
from benchmarks.environments import ROOT
from benchmarks.rounds import Results

TOPICS = (
    "cold",
    "runtimes",
    "wrapper",
    "evaluation",
    "idle",
    "traffic",
    "refresh",
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure, then report."""
    options = _options()
    for name in options.topics or TOPICS:
        topic = importlib.import_module(f"benchmarks.topics.{name}")
        if not options.report:
            _measure(name, topic, options)
        if not options.quick:
            _report(name, topic)


def _measure(name: str, topic: ModuleType, options: argparse.Namespace) -> None:
    rounds = 1 if options.quick else options.rounds
    began = time.monotonic()
    print(f"{name}: {rounds} rounds", flush=True)
    suite = pyperf.BenchmarkSuite(topic.measure(rounds, quick=options.quick))
    conditions = _conditions(rounds)
    for benchmark in suite:
        benchmark.update_metadata(conditions)
    if not options.quick:
        suite.dump(str(RESULTS / f"{name}.json"), compact=True, replace=True)
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def _report(name: str, topic: ModuleType) -> None:
    suite = pyperf.BenchmarkSuite.load(str(RESULTS / f"{name}.json"))
    known = suite.get_metadata()
    how = (
        f"`python -m benchmarks {name} --rounds {known['rounds']}`, {known['date']},"
        f" {known['cpu_count']} × {known['machine']}, Linux,"
        f" commit `{known['commit']}`."
    )
    report.put(name, f"{topic.report(Results(suite))}\n\n{how}")


def _conditions(rounds: int) -> dict[str, object]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607  reason: any git will do
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    run = pyperf.Run([1.0], collect_metadata=True)
    return {
        "rounds": rounds,
        "commit": commit,
        "cpu_count": run.get_metadata()["cpu_count"],
        "machine": platform.machine(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("topics", nargs="*", choices=[[], *TOPICS], metavar="topic")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one round, no page")
    parser.add_argument("--report", action="store_true", help="the page alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
