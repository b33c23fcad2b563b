"""Cold process to first flag, near and far, small and large, with .pyc and without.

While the core is being made faster, measure the groups that its targets are about::

    python -m benchmarks.topics.cold 10

prints the ratios at 100 flags behind 30 ms and TLS, ten rounds; ``groups()`` measures
any others.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyperf

from benchmarks import report as page
from benchmarks.environments import CORE, GCP, ROOT, environment
from benchmarks.rounds import FIRST_FLAG, Contender, Results, interleave, quantity

SCRIPTS = ROOT / "benchmarks" / "contenders" / "cold"
FLAGS = (10, 100, 1000, 5000)
NEAR, FAR = "loopback", "30 ms TLS"

BARE = "bare python"
PLAIN = "plain SDK"
UNLEASH = "serverless-flags unleash"
LEAN = "serverless-flags lean"
UNLEASH_SNAPSHOT = f"{UNLEASH}, snapshot"
LEAN_SNAPSHOT = f"{LEAN}, snapshot"
RESTORED = quantity("first flag after a restore", "seconds")
FLOOR = "engine floor"
OPENFEATURE = "OpenFeature + official Unleash provider"

SHIPS = {
    "serverless-flags": [CORE, GCP],
    "plain-sdk": ["UnleashClient>=6.9,<7"],
    "engine": ["yggdrasil-engine>=2,<3"],
    "openfeature": ["unleash-openfeature-python-provider"],
}
"""What each kind of function has installed."""

GOOGLE = {
    "FUNCTION_TARGET": "handler",
    "FUNCTION_SIGNATURE_TYPE": "http",
    "K_SERVICE": "handler",
    "K_CONFIGURATION": "handler",
    "K_REVISION": "handler-00001-abc",
    "PORT": "8080",
}
"""What elects the adapter, as on Google."""


@dataclass(frozen=True)
class _Kind:
    """How a contender is run."""

    ships: str
    script: str
    client: str = ""
    snapshot: bool = False
    most_flags: int = FLAGS[-1]
    """Beyond it the contender shows nothing new."""


KINDS = {
    BARE: _Kind("engine", "bare_python"),
    PLAIN: _Kind("plain-sdk", "plain_sdk"),
    OPENFEATURE: _Kind("openfeature", "openfeature_unleash", most_flags=100),
    UNLEASH: _Kind("serverless-flags", "serverless_flags_function", "unleash"),
    LEAN: _Kind("serverless-flags", "serverless_flags_function", "lean"),
    UNLEASH_SNAPSHOT: _Kind(
        "serverless-flags", "serverless_flags_function", "unleash", snapshot=True
    ),
    LEAN_SNAPSHOT: _Kind(
        "serverless-flags", "serverless_flags_function", "lean", snapshot=True
    ),
    FLOOR: _Kind("engine", "engine_floor", snapshot=True),
}


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Measure all sizes on both nets, and 100 flags without .pyc."""
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
    """Measure some contenders at some sizes on some nets; their environments anew."""
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
    """Measure what is left of a cold start where an image is restored."""
    pythons = _pythons({"serverless-flags"}, bytecode=True)
    with served(100) as (folder, environs):
        environ = {**environs[FAR], **GOOGLE, "FOLDER": str(folder)}
        command = [str(pythons["serverless-flags"]), str(SCRIPTS / "restored.py")]
        contenders = [
            Contender(name, command, {**environ, "SERVERLESS_FLAGS_CLIENT": client})
            for name, client in ((UNLEASH, "unleash"), (LEAN, "lean"))
        ]
        return interleave(contenders, rounds, group=RESTORED_GROUP)


@contextlib.contextmanager
def served(flags: int) -> Iterator[tuple[Path, Mapping[str, Mapping[str, str]]]]:
    """Serve so many flags; yield a folder and what points a function at each net."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "benchmarks.contenders.flag_server"]
        server = subprocess.Popen(
            [*command, str(flags), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None
        with server:  # leaving closes its input, and it ends
            try:
                yield Path(name), json.loads(server.stdout.readline())
            finally:
                server.terminate()


def _pythons(ships: set[str], *, bytecode: bool) -> dict[str, Path]:
    suffix = "" if bytecode else "-no-pyc"
    return {
        key: environment(f"cold-{key}{suffix}", SHIPS[key], bytecode=bytecode)
        for key in sorted(ships)
    }


def contender(
    name: str, pythons: Mapping[str, Path], environ: Mapping[str, str]
) -> Contender:
    """Return a contender; ``pythons`` by what is shipped with it."""
    kind = KINDS[name]
    extra = {}
    if kind.client:
        extra = {**GOOGLE, "SERVERLESS_FLAGS_CLIENT": kind.client}
        extra["EXPECTED_SOURCE"] = "snapshot" if kind.snapshot else "server"
    if kind.snapshot:
        extra["SERVERLESS_FLAGS_SNAPSHOT"] = f"{environ['FOLDER']}/flags.json"
    command = [str(pythons[kind.ships]), str(SCRIPTS / f"{kind.script}.py")]
    return Contender(name, command, {**environ, **extra})


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
            f"Milliseconds, {FAR}, by number of flags:",
            _sizes(results, FAR),
            _plot(results),
            "The same against a server on loopback, plain http:",
            _sizes(results, NEAR),
            "100 flags, with the packages' `.pyc` files and without:",
            _bytecode(results),
            _after_restore(results),
            NOTES,
        )
    )


def ratios(results: Results) -> str:
    """Return the table of what is aimed at, as processes run and less the interpreter.

    The first ratio is what a user waits; the second what the flags add to Python.
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
    """Say why `lean` is over its target, where it is."""
    group = group_of(100, FAR)
    ours, plain, bare = (
        results.median(group, name, FIRST_FLAG) for name in (LEAN, PLAIN, BARE)
    )
    if ours <= TARGETS[1][2] * plain:
        return ""
    return (
        f"`lean` is over its target: of its {page.ms(ours)} ms three round trips, for"
        f" TCP, TLS and the request, take 90, which is {page.times(0.09 / plain)} the"
        f" plain SDK, and the interpreter {page.ms(bare)}. The target is from a machine"
        " on which imports took twice as long and round trips the same."
    )


def _net_ratio(results: Results, group: str, ours: str, theirs: str) -> float:
    """Return the ratio of medians, of each the interpreter's subtracted."""
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
    shown = {name: series[name] for name in KINDS if len(series.get(name, ())) > 2}  # noqa: PLR2004  reason: two points are no line
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
    words = [
        f"{page.ms(results.median(RESTORED_GROUP, name, RESTORED))} ms (`{client}`)"
        for name, client in ((UNLEASH, "unleash"), (LEAN, "lean"))
    ]
    return (
        "With SnapStart the imports are in the image. What is left is asking whether"
        f" its flags have changed: {' and '.join(words)} from the restore to the first"
        f" flag, {FAR}, besides the restore itself."
    )


NOTES = """\
What the network takes, a session spends on importing its client, so `unleash` and
`lean` differ most where there is none to wait for: on loopback, where `unleash` gains
nothing over the plain SDK, and from a snapshot. Without `.pyc` files `unleash` compiles
what the plain SDK compiles, and itself.

Each process is a new one in an environment that holds only what such a function ships.
The plain SDK is used as its tutorial shows, registration and metrics included; the
OpenFeature provider as its README shows. Ours is a wrapped function with the adapter
for Google Cloud Functions installed and elected, called once; with a snapshot it asks
the server in parallel, as it would in production. The engine's floor is
yggdrasil-engine alone: import, read the file, `take_state`, one `is_enabled`.

The server is on this machine and answers at once. The far one is behind a proxy that
holds bytes back for 15 ms each way, and those of a new connection until 30 ms after it
was opened; TLS 1.3 adds its own round trip. Bandwidth and slow start are not
simulated. Everybody trusts one certificate authority by `REQUESTS_CA_BUNDLE`, so nobody
reads a whole bundle of them; the plain SDK would read certifi's, for each of its two
connections."""


if __name__ == "__main__":
    measured = groups(int(sys.argv[1]), flags=(100,), nets=(FAR,))
    for benchmark in measured:
        print(f"{benchmark.median() * 1000:7.1f} ms  {benchmark.get_name()}")
    print(ratios(Results(pyperf.BenchmarkSuite(measured))))
