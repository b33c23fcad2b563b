"""
``python -m benchmarks.against COMMIT``: us and an earlier commit, side by side.

    python -m benchmarks.against v0.1.0                  # wrapper, evaluation, cold
    python -m benchmarks.against HEAD~3 cold --rounds 40

Prints, for each contender and quantity, the median of what this checkout takes over
what the commit takes, round by round: above 1, this checkout is slower.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyperf

from benchmarks.environments import ROOT, environment
from benchmarks.rounds import Contender, Results, interleave
from benchmarks.topics import cold, evaluation, wrapper

NOW, THEN = "now", "then"
GROUP = "against"
FAR_KINDS = (cold.UNLEASH, cold.LEAN)
NEAR_KINDS = (cold.UNLEASH_SNAPSHOT, cold.LEAN_SNAPSHOT)
"""They wait for no server, however far it is."""


def main() -> None:
    """Measure the topics that are named, by default all three."""
    options = _options()
    with _checkout(options.commit) as folder:
        sides = {NOW: ROOT, THEN: folder}
        for topic in options.topics or TOPICS:
            print(f"{topic}, {options.rounds} rounds, now / {options.commit}")
            for name, ratio in TOPICS[topic](sides, options.rounds):
                print(f"  {ratio:5.3f}  {name}", flush=True)


@contextlib.contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the files of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit],  # noqa: S607  reason: whichever git there is
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        subprocess.run(
            ["tar", "-x", "-C", folder],  # noqa: S607  reason: likewise
            input=archive,
            check=True,
        )
        yield Path(folder)


def _environment(side: str, folder: Path, name: str, ships: Iterable[str]) -> Path:
    """Return the Python of an environment with the packages of one side."""
    packages = [package.replace(str(ROOT), str(folder), 1) for package in ships]
    return environment(f"against-{name}-{side}", [*packages, "pyperf"])


def _on(side: str, contender: Contender) -> Contender:
    return replace(contender, name=f"{side}, {contender.name}")


def _ratios(results: Results) -> Iterator[tuple[str, float]]:
    """Yield each quantity of each contender with its ratio."""
    for title in results.titles():
        group, contender, name = title.split(" | ")
        side, _, who = contender.partition(", ")
        if side == NOW:
            ratio = results.ratio(group, contender, f"{THEN}, {who}", name)
            yield f"{who}: {name.partition(' [')[0]}", ratio


# -- the topics ------------------------------------------------------------------------
def _wrapper(sides: Mapping[str, Path], rounds: int) -> Iterator[tuple[str, float]]:
    """Compare what a wrapper adds, on one Python."""
    pythons = {
        side: _environment(side, folder, "wrapper", wrapper.WE_SHIP)
        for side, folder in sides.items()
    }
    with wrapper.surroundings(quick=False) as (environ, platforms):
        contenders = [
            _on(side, contender)
            for side, python in pythons.items()
            for contender in wrapper.ours(wrapper.USUAL, python, environ, platforms)
        ]
        benchmarks = interleave(
            contenders, rounds, measure=wrapper.timed, warmups=0, group="all"
        )
    results = Results(pyperf.BenchmarkSuite(benchmarks))
    for contender in contenders:
        side, _, who = contender.name.partition(", ")
        if side == THEN:
            continue
        then = f"{THEN}, {who}"
        for title, wrapped, plain in (
            ("def", wrapper.WRAPPED, wrapper.PLAIN),
            ("async def", wrapper.WRAPPED_ASYNC, wrapper.PLAIN_ASYNC),
        ):
            ours = wrapper.added(results, contender.name, wrapped, plain)
            yield f"{who}: {title}", ours / wrapper.added(results, then, wrapped, plain)


def _evaluation(sides: Mapping[str, Path], rounds: int) -> Iterator[tuple[str, float]]:
    """Compare one evaluation, of each client, wherever it is asked."""
    ships = "serverless-flags"
    pythons = {
        side: {ships: _environment(side, folder, "evaluation", evaluation.SHIPS[ships])}
        for side, folder in sides.items()
    }
    scripts = str(evaluation.CONTENDERS)
    with tempfile.TemporaryDirectory() as folder:
        environ = {"PYTHONPATH": scripts, "HOME": folder, "TMPDIR": folder}
        contenders = [
            _on(side, evaluation.contender(name, python, environ))
            for side, python in pythons.items()
            for name in evaluation.KINDS
            if name.startswith((evaluation.UNLEASH, evaluation.LEAN))
        ]
        benchmarks = interleave(
            contenders, rounds, measure=evaluation.timed, warmups=0, group=GROUP
        )
    yield from _ratios(Results(pyperf.BenchmarkSuite(benchmarks)))


def _cold(sides: Mapping[str, Path], rounds: int) -> Iterator[tuple[str, float]]:
    """Compare cold processes: far from the server, and from a snapshot."""
    ships = "serverless-flags"
    pythons = {
        side: {ships: _environment(side, folder, "cold", cold.SHIPS[ships])}
        for side, folder in sides.items()
    }
    with cold.served(100) as (files, environs):
        for net, names in ((cold.FAR, FAR_KINDS), (cold.NEAR, NEAR_KINDS)):
            environ = {**environs[net], "FOLDER": str(files)}
            contenders = [
                _on(side, cold.contender(name, python, environ))
                for side, python in pythons.items()
                for name in names
            ]
            benchmarks = interleave(contenders, rounds, group=net)
            yield from _ratios(Results(pyperf.BenchmarkSuite(benchmarks)))


TOPICS = {"wrapper": _wrapper, "evaluation": _evaluation, "cold": _cold}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("commit", help="whatever git takes for one")
    parser.add_argument("topics", nargs="*", choices=[[], *TOPICS], metavar="topic")
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
