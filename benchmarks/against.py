"""
``python -m benchmarks.against COMMIT``: this checkout and an earlier commit compared.

    python -m benchmarks.against v0.1.0                  # wrapper, evaluation, cold
    python -m benchmarks.against HEAD~3 cold --rounds 40

Prints, for each contender and quantity, the median over the rounds of this checkout's
time divided by the commit's: above 1, this checkout is slower.
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

from benchmarks import cold_functions
from benchmarks.environments import ROOT, environment
from benchmarks.rounds import Contender, Results, interleave
from benchmarks.servers import FAR, NEAR, served
from benchmarks.topics import evaluation, wrapper

NOW, THEN = "now", "then"
GROUP = "against"
FAR_KINDS = (cold_functions.UNLEASH, cold_functions.LEAN)
NEAR_KINDS = (cold_functions.UNLEASH_SNAPSHOT, cold_functions.LEAN_SNAPSHOT)
"""They do not wait for a server, so its distance does not matter."""


def main() -> None:
    """Measure the topics that are named, all three by default."""
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
            ["git", "archive", commit],  # noqa: S607  reason: any git will do
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        subprocess.run(
            ["tar", "-x", "-C", folder],  # noqa: S607  reason: any tar will do
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
        side, _, subject = contender.partition(", ")
        if side == NOW:
            ratio = results.ratio(group, contender, f"{THEN}, {subject}", name)
            yield f"{subject}: {name.partition(' [')[0]}", ratio


# -- the topics ------------------------------------------------------------------------
def _wrapper(sides: Mapping[str, Path], rounds: int) -> Iterator[tuple[str, float]]:
    """Compare what a wrapper adds to an invocation, on one Python."""
    pythons = {
        side: _environment(side, folder, "wrapper", wrapper.OUR_PACKAGES)
        for side, folder in sides.items()
    }
    with wrapper.surroundings(quick=False) as (environ, platforms):
        contenders = [
            _on(side, contender)
            for side, python in pythons.items()
            for contender in wrapper.own_contenders(
                wrapper.USUAL, python, environ, platforms
            )
        ]
        benchmarks = interleave(
            contenders, rounds, measure=wrapper.timed, warmups=0, group="all"
        )
    results = Results(pyperf.BenchmarkSuite(benchmarks))
    for contender in contenders:
        side, _, subject = contender.name.partition(", ")
        if side == THEN:
            continue
        then = f"{THEN}, {subject}"
        for title, wrapped, plain in (
            ("def", wrapper.WRAPPED, wrapper.PLAIN),
            ("async def", wrapper.WRAPPED_ASYNC, wrapper.PLAIN_ASYNC),
        ):
            ours = wrapper.added(results, contender.name, wrapped, plain)
            yield (
                f"{subject}: {title}",
                ours / wrapper.added(results, then, wrapped, plain),
            )


def _evaluation(sides: Mapping[str, Path], rounds: int) -> Iterator[tuple[str, float]]:
    """Compare one evaluation of each client, inside and outside an invocation."""
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
    """Compare cold processes: with a distant server, and with a snapshot."""
    ships = "serverless-flags"
    pythons = {
        side: {ships: _environment(side, folder, "cold", cold_functions.SHIPS[ships])}
        for side, folder in sides.items()
    }
    with served(100) as (files, environs):
        for net, names in ((FAR, FAR_KINDS), (NEAR, NEAR_KINDS)):
            environ = {**environs[net], "FOLDER": str(files)}
            contenders = [
                _on(side, cold_functions.contender(name, python, environ))
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
    parser.add_argument("commit", help="a commit, tag or branch")
    parser.add_argument("topics", nargs="*", choices=[[], *TOPICS], metavar="topic")
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
