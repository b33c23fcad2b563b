"""
Cold process to first flag: near and far, few and many flags, with and without .pyc.

To see quickly whether a change makes cold starts faster::

    python -m benchmarks.topics.cold 10

prints the ratios for 100 flags behind 30 ms and TLS, after ten rounds; ``groups()``
measures any other combination.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pyperf

from benchmarks import report as page
from benchmarks.cold_functions import (
    BARE,
    FLAGS,
    FLOOR,
    KINDS,
    LEAN,
    LEAN_SNAPSHOT,
    PLAIN,
    SCRIPTS,
    SHIPS,
    UNLEASH,
    contender,
)
from benchmarks.environments import environment
from benchmarks.rounds import FIRST_FLAG, Contender, Results, interleave, quantity
from benchmarks.servers import FAR, GOOGLE, NEAR, served

RESTORED = quantity("first flag after a restore", "seconds")


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Measure all sizes on both networks, and 100 flags without .pyc."""
    if quick:
        return groups(rounds, flags=(100,), nets=(FAR,), warmups=0)
    compiled = groups(rounds)
    uncompiled = groups(rounds, flags=(100,), bytecode=False)
    return compiled + uncompiled + _restored(rounds)


def groups(
    rounds: int,
    *,
    flags: Sequence[int] = FLAGS,
    nets: Sequence[str] = (NEAR, FAR),
    bytecode: bool = True,
    names: Sequence[str] = tuple(KINDS),
    warmups: int = 1,
) -> list[pyperf.Benchmark]:
    """Build the environments, and measure some contenders, sizes and networks."""
    pythons = _pythons({KINDS[name].ships for name in names}, bytecode=bytecode)
    benchmarks = []
    for count in flags:
        chosen = [name for name in names if count <= KINDS[name].most_flags]
        with served(count) as (folder, environs):
            for net in nets:
                environ = {**environs[net], "FOLDER": str(folder)}
                if not bytecode:
                    environ["PYTHONDONTWRITEBYTECODE"] = "1"
                contenders = [contender(name, pythons, environ) for name in chosen]
                group = group_of(count, net, bytecode=bytecode)
                benchmarks += interleave(
                    contenders, rounds, group=group, warmups=warmups
                )
    return benchmarks


RESTORED_GROUP = f"restored, {FAR}"


def group_of(count: int, net: str, *, bytecode: bool = True) -> str:
    """Return a group's name."""
    return f"{count} flags, {net}" + ("" if bytecode else ", no .pyc")


def _restored(rounds: int) -> list[pyperf.Benchmark]:
    """Measure what remains of a cold start when an image is restored."""
    pythons = _pythons({"serverless-flags"}, bytecode=True)
    with served(100) as (folder, environs):
        environ = {**environs[FAR], **GOOGLE, "FOLDER": str(folder)}
        command = [str(pythons["serverless-flags"]), str(SCRIPTS / "restored.py")]
        contenders = [
            Contender(name, command, {**environ, "SERVERLESS_FLAGS_CLIENT": client})
            for name, client in ((UNLEASH, "unleash"), (LEAN, "lean"))
        ]
        return interleave(contenders, rounds, group=RESTORED_GROUP)


def _pythons(ships: set[str], *, bytecode: bool) -> dict[str, Path]:
    suffix = "" if bytecode else "-no-pyc"
    return {
        key: environment(f"cold-{key}{suffix}", SHIPS[key], bytecode=bytecode)
        for key in sorted(ships)
    }


# -- report ----------------------------------------------------------------------------
TARGETS = (
    (UNLEASH, PLAIN, 0.62),
    (LEAN, PLAIN, 0.36),
    (LEAN_SNAPSHOT, FLOOR, 1.25),
)


def report(results: Results) -> str:
    """Return the tables and plots."""
    far = group_of(100, FAR)
    medians = {
        name: results.median(far, name, FIRST_FLAG) * 1000
        for name in KINDS
        if name in results.contenders(far)
    }
    title = "Cold process to first flag, 100 flags, 30 ms round trip + TLS"
    return "\n\n".join(
        (
            "From the start of a process to the first answer of `is_enabled`.",
            ratios(results),
            _missed(results),
            page.bars("cold", title, "ms", medians),
            f"In milliseconds, {FAR}, by number of flags:",
            _sizes(results, FAR),
            _plot(results),
            "The same with a server on loopback, over plain http:",
            _sizes(results, NEAR),
            "100 flags, with the packages' `.pyc` files and without:",
            _bytecode(results),
            _after_restore(results),
            NOTES,
        )
    )


def ratios(results: Results) -> str:
    """
    Return the table of targets: whole processes, and less the interpreter.

    The first ratio is what a user waits for, the second what the flags add to Python.
    """
    group = group_of(100, FAR)
    rows = []
    for ours, theirs, target in TARGETS:
        whole = results.ratio(group, ours, theirs, FIRST_FLAG)
        rows.append(
            [
                f"{ours} / {theirs}",
                f"≤ {target:.2f} ×",
                page.times(whole),
                page.times(_net_ratio(results, group, ours, theirs)),
            ]
        )
    head = ["100 flags, 30 ms TLS", "target", "whole process", f"less {BARE}"]
    return page.table(head, rows)


def _missed(results: Results) -> str:
    """Say why `lean` misses its target, if it does."""
    group = group_of(100, FAR)
    ours, plain, bare = (
        results.median(group, name, FIRST_FLAG) for name in (LEAN, PLAIN, BARE)
    )
    if ours <= TARGETS[1][2] * plain:
        return ""
    return (
        f"`lean` misses its target: of its {page.ms(ours)} ms, three round trips (TCP,"
        f" TLS, the request) take 90, which is {page.times(0.09 / plain)} the plain"
        f" SDK, and the interpreter takes {page.ms(bare)}. The target was set on a"
        " machine where imports took twice as long and round trips the same."
    )


def _net_ratio(results: Results, group: str, ours: str, theirs: str) -> float:
    """Return the ratio of two medians, each less the interpreter's."""
    bare = results.median(group, BARE, FIRST_FLAG)
    above = results.median(group, ours, FIRST_FLAG) - bare
    return above / (results.median(group, theirs, FIRST_FLAG) - bare)


def _sizes(results: Results, net: str) -> str:
    columns = [group_of(count, net) for count in FLAGS]
    rows = [[name, *_cells(results, name, columns)] for name in KINDS]
    return page.table(["", *(f"{count:,}" for count in FLAGS)], rows)


def _cells(results: Results, name: str, groups: Sequence[str]) -> list[str]:
    known = {group: results.contenders(group) for group in groups}
    return [
        page.ms(results.median(group, name, FIRST_FLAG)) if name in known[group] else ""
        for group in groups
    ]


def _plot(results: Results) -> str:
    series: dict[str, dict[float, float]] = {}
    for count in FLAGS:
        group = group_of(count, FAR)
        for name in results.contenders(group):
            median = results.median(group, name, FIRST_FLAG) * 1000
            series.setdefault(name, {})[count] = median
    shown = {name: series[name] for name in KINDS if len(series.get(name, ())) > 2}  # noqa: PLR2004  reason: a line needs three points
    title = "Cold process to first flag, 30 ms round trip + TLS"
    return page.lines("cold-flags", title, ("flags", "ms"), shown)


def _bytecode(results: Results) -> str:
    columns = [
        group_of(100, net, bytecode=bytecode)
        for net in (FAR, NEAR)
        for bytecode in (True, False)
    ]
    rows = [[name, *_cells(results, name, columns)] for name in KINDS]
    head = [f"{FAR}, .pyc", f"{FAR}, none", f"{NEAR}, .pyc", f"{NEAR}, none"]
    return page.table(["ms", *head], rows)


def _after_restore(results: Results) -> str:
    medians = [
        f"{page.ms(results.median(RESTORED_GROUP, name, RESTORED))} ms (`{client}`)"
        for name, client in ((UNLEASH, "unleash"), (LEAN, "lean"))
    ]
    return (
        "With SnapStart the imports are in the image. What remains is one request that"
        f" asks whether the flags have changed: {' and '.join(medians)} from the"
        f" restore to the first flag, {FAR}, not including the restore itself."
    )


NOTES = """\
While a session waits for the network it imports its client, so `unleash` and `lean`
differ most where there is no network to wait for: on loopback, where `unleash` gains
nothing over the plain SDK, and with a snapshot. Without `.pyc` files `unleash` compiles
everything that the plain SDK compiles, and its own modules as well.

Each process is a new one in an environment that has only what such a function ships.
The plain SDK is used as its tutorial shows, with registration and metrics; the
OpenFeature provider is used as its README shows. serverless-flags is a wrapped function
with the adapter for Google Cloud Functions installed and selected, called once; with a
snapshot it also asks the server in parallel, as in production. The engine floor is
yggdrasil-engine alone: import it, read the file, call `take_state`, and call
`is_enabled` once.

The server runs on the same machine and answers at once. The distant server is behind a
proxy that delays bytes by 15 ms each way, and those of a new connection until 30 ms
after it was opened; TLS 1.3 adds a round trip of its own. Bandwidth and slow start are
not simulated. `REQUESTS_CA_BUNDLE` makes every contender trust a single certificate
authority, so none reads a whole bundle of them; the plain SDK would otherwise read
certifi's for each of its two connections."""


if __name__ == "__main__":
    measured = groups(int(sys.argv[1]), flags=(100,), nets=(FAR,))
    for benchmark in measured:
        print(f"{benchmark.median() * 1000:7.1f} ms  {benchmark.get_name()}")
    print(ratios(Results(pyperf.BenchmarkSuite(measured))))
