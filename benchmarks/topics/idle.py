"""Memory and threads of an instance between two invocations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyperf

from benchmarks import report as page
from benchmarks.contenders.idle.extensions_api import extensions_api
from benchmarks.contenders.idle.peer_flags import write_files
from benchmarks.environments import AWS, CORE, GCP, ROOT, environment
from benchmarks.rounds import (
    FIRST_FLAG,
    Contender,
    Results,
    Values,
    interleave,
    quantity,
)
from benchmarks.rounds import cold as run_process
from benchmarks.servers import GOOGLE, NEAR, served

SCRIPTS = ROOT / "benchmarks" / "contenders" / "idle"
MEMORY, THREADS = quantity("memory", "bytes"), quantity("threads", "number")
FEW, MANY = 100, 1000

BARE, PLAIN, FLOOR = "bare python", "plain SDK", "engine floor"
UNLEASH, LEAN = "serverless-flags unleash", "serverless-flags lean"
ON_AWS = f"{LEAN}, AWS Lambda"
UNLEASH_SNAPSHOT = f"{UNLEASH}, snapshot"
LEAN_SNAPSHOT = f"{LEAN}, snapshot"
LEAN_REFRESHED = f"{LEAN}, snapshot, refreshed"
OPENFEATURE = "OpenFeature + official Unleash provider"

SHIPS = {
    "google": [CORE, GCP],
    "aws": [CORE, AWS],
    "plain": ["UnleashClient>=6.9,<7"],
    "engine": ["yggdrasil-engine>=2,<3"],
    "openfeature": ["unleash-openfeature-python-provider"],
    "launchdarkly": ["launchdarkly-server-sdk"],
    "configcat": ["configcat-client"],
    "growthbook": ["growthbook"],
    "flagsmith": ["flagsmith"],
}
"""What each kind of function has installed."""


class _Kind(NamedTuple):
    """How a contender is run."""

    ships: str
    script: str
    client: str = ""
    snapshot: bool = False
    invoked: bool = True
    most_flags: int = MANY


OURS = "serverless_flags_function"
KINDS = {
    BARE: _Kind("engine", "bare_python", most_flags=FEW),
    FLOOR: _Kind("engine", "engine_floor", snapshot=True),
    LEAN_SNAPSHOT: _Kind("google", OURS, "lean", snapshot=True, invoked=False),
    LEAN_REFRESHED: _Kind("google", OURS, "lean", snapshot=True),
    LEAN: _Kind("google", OURS, "lean"),
    ON_AWS: _Kind("aws", OURS, "lean"),
    UNLEASH_SNAPSHOT: _Kind("google", OURS, "unleash", snapshot=True, invoked=False),
    UNLEASH: _Kind("google", OURS, "unleash"),
    PLAIN: _Kind("plain", "plain_sdk"),
    OPENFEATURE: _Kind("openfeature", "openfeature_unleash"),
    "LaunchDarkly, from a file": _Kind("launchdarkly", "launchdarkly_files"),
    "ConfigCat, lazy, from a file": _Kind("configcat", "configcat_lazy"),
    "GrowthBook, features given": _Kind("growthbook", "growthbook_features"),
    "Flagsmith, offline, from a file": _Kind("flagsmith", "flagsmith_local"),
}
NO_SERVER = frozenset(list(KINDS)[-4:])
"""Peers for which there is no server to ask here."""


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Measure all contenders at 100 and at 1,000 flags."""
    chosen = [name for name in KINDS if not quick or name not in NO_SERVER]
    ships = {KINDS[name].ships for name in chosen}
    pythons = {ship: environment(f"idle-{ship}", SHIPS[ship]) for ship in ships}
    benchmarks = []
    for count in (FEW,) if quick else (FEW, MANY):
        with served(count) as (folder, environs), extensions_api() as api:
            environ = {
                **environs[NEAR],
                **write_files(folder),
                "FOLDER": str(folder),
                "HOME": str(folder),
            }
            contenders = [
                _contender(name, pythons, environ, api)
                for name in chosen
                if count <= KINDS[name].most_flags
            ]
            benchmarks += interleave(
                contenders,
                rounds,
                measure=_idle,
                warmups=0,
                group=_group(count),
            )
    return benchmarks


def _group(count: int) -> str:
    return f"{count} flags"


def _idle(contender: Contender) -> Values:
    values = run_process(contender)
    return {name: value for name, value in values.items() if name != FIRST_FLAG}


def _contender(
    name: str, pythons: Mapping[str, Path], environ: Mapping[str, str], api: str
) -> Contender:
    kind = KINDS[name]
    extra = {}
    snapshot = f"{environ['FOLDER']}/flags.json"
    if kind.client:
        extra = _platform(kind.ships, api)
        extra["SERVERLESS_FLAGS_CLIENT"] = kind.client
        extra["EXPECTED_SOURCE"] = "server" if kind.invoked else "snapshot"
    if kind.snapshot:
        extra["SERVERLESS_FLAGS_SNAPSHOT"] = snapshot
    command = [str(pythons[kind.ships]), str(SCRIPTS / f"{kind.script}.py")]
    return Contender(name, command, {**environ, **extra})


def _platform(ships: str, api: str) -> dict[str, str]:
    """Return the variables by which the adapter recognises its platform."""
    if ships == "google":
        return {**GOOGLE, "EXPECTED_PLATFORM": "gcp_cloud_functions"}
    return {
        "AWS_LAMBDA_FUNCTION_NAME": "handler",
        "AWS_LAMBDA_RUNTIME_API": api,
        "EXPECTED_PLATFORM": "aws_lambda",
    }


# -- report ----------------------------------------------------------------------------
TARGETS = ((LEAN, 0.7), (LEAN_SNAPSHOT, 0.5))


def report(results: Results) -> str:
    """Return the tables and the plot."""
    few = _group(FEW)
    values = {name: results.median(few, name, MEMORY) / 1e6 for name in KINDS}
    title = f"Memory of an idle instance, {FEW} flags"
    return "\n\n".join(
        (
            (
                "Resident memory (`VmRSS`) and threads of a process after its first"
                " invocation."
            ),
            _targets(results),
            page.bars("idle", title, "MB", values),
            _all(results),
            NOTES,
        )
    )


def _targets(results: Results) -> str:
    rows = [
        [
            f"{name} / {PLAIN}",
            f"≤ {target:.2f} ×",
            *(
                page.times(results.ratio(_group(count), name, PLAIN, MEMORY))
                for count in (FEW, MANY)
            ),
        ]
        for name, target in TARGETS
    ]
    return page.table(["memory", "target", *map(_group, (FEW, MANY))], rows)


def _all(results: Results) -> str:
    rows = []
    for name, kind in KINDS.items():
        cells = [
            page.mb(results.median(_group(count), name, MEMORY))
            if count <= kind.most_flags
            else ""
            for count in (FEW, MANY)
        ]
        threads = results.median(_group(FEW), name, THREADS)
        rows.append([name, *cells, f"{threads - 1:.0f}"])
    head = ["", f"MB, {FEW} flags", f"MB, {MANY} flags", "threads besides the main one"]
    return page.table(head, rows)


NOTES = """\
Each process is a new one in an environment that has only what such a function ships. It
is measured 150 ms after its first answer, after a garbage collection. serverless-flags
is a wrapped function with the adapter of its platform selected, Google's where none is
named; its one thread on AWS Lambda waits for SIGTERM. With a snapshot nothing has been
invoked yet, as in an instance that is kept ready. The rows that are marked "refreshed"
have been invoked, which imports an HTTP client and parses the flags once more. The
plain SDK is used as its tutorial shows, the OpenFeature provider as its README shows;
both ask the same server on loopback, over plain http.

The other peers cannot be run against a server here. They read their flags from a file,
the same number of flags for the same sixteen users, without connections, events or
polling, so their rows are the least that they need. Flagsmith's flags are on for
everybody."""
