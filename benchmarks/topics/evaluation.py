"""What one evaluation costs: this package, other Unleash clients, and the peers."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyperf

from benchmarks import report as page
from benchmarks.environments import CORE, ROOT, environment
from benchmarks.rounds import (
    FIRST_FLAG,
    Contender,
    Results,
    Values,
    interleave,
    quantity,
)
from benchmarks.rounds import cold as run_process

CONTENDERS = ROOT / "benchmarks" / "contenders"
SCRIPTS = CONTENDERS / "evaluation"
ALONE = "one client per process"
BLOCKS = 150

RAW = "UnleashClient"
UNLEASH, LEAN = "serverless-flags unleash", "serverless-flags lean"
ENGINE = "engine, `is_enabled` and `get_variant`"
CALLS = "engine, check and count calls"
READY = "engine, check and count calls, JSON ready"
OPENFEATURE = "OpenFeature + official Unleash provider"
PAIRED = "all in one process"

SHIPS = {
    "serverless-flags": [CORE],
    "unleash-client": ["UnleashClient>=6.9,<7"],
    "openfeature": ["unleash-openfeature-python-provider"],
    "launchdarkly": ["launchdarkly-server-sdk"],
    "configcat": ["configcat-client"],
    "growthbook": ["growthbook"],
    "flagsmith": ["flagsmith"],
    "powertools": ["aws-lambda-powertools[aws-sdk]"],
}
"""What each kind of process has installed, besides pyperf."""


class _Kind(NamedTuple):
    """How a contender is run."""

    ships: str
    script: str
    environ: Mapping[str, str] = {}


def _session(client: str, where: str) -> _Kind:
    environ = {"SERVERLESS_FLAGS_CLIENT": client, "WHERE": where}
    return _Kind("serverless-flags", "serverless_flags_session", environ)


def _engine(how: str) -> _Kind:
    return _Kind("serverless-flags", "engine", {"HOW": how})


KINDS = {
    READY: _engine("ready"),
    CALLS: _engine("calls"),
    LEAN: _session("lean", "outside"),
    f"{LEAN}, in an invocation": _session("lean", "inside"),
    f"{LEAN}, the invocation's context": _session("lean", "whole"),
    ENGINE: _engine("public"),
    RAW: _Kind("unleash-client", "unleash_client"),
    UNLEASH: _session("unleash", "outside"),
    f"{UNLEASH}, in an invocation": _session("unleash", "inside"),
    f"{UNLEASH}, the invocation's context": _session("unleash", "whole"),
    OPENFEATURE: _Kind("openfeature", "openfeature_unleash"),
    "GrowthBook": _Kind("growthbook", "growthbook_features"),
    "Powertools feature flags": _Kind("powertools", "powertools_flags"),
    "Flagsmith, local evaluation": _Kind("flagsmith", "flagsmith_local"),
    "ConfigCat, local flags": _Kind("configcat", "configcat_overrides"),
    "LaunchDarkly, test data": _Kind("launchdarkly", "launchdarkly_test_data"),
}
FEW = (CALLS, LEAN, RAW, UNLEASH)
"""Enough contenders to see that the benchmark runs."""

CONTEXTS = ("no context", "userId", "10 fields")
METHODS = ("is_enabled", "get_variant")
QUESTIONS = [f"{method}, {context}" for method in METHODS for context in CONTEXTS]


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Measure each client in its own process, and all Unleash clients in one."""
    chosen = FEW if quick else tuple(KINDS)
    ships = {KINDS[name].ships for name in chosen}
    pythons = {
        ship: environment(f"evaluation-{ship}", [*SHIPS[ship], "pyperf"])
        for ship in ships
    }
    with tempfile.TemporaryDirectory() as folder:
        environ = {"PYTHONPATH": str(CONTENDERS), "HOME": folder, "TMPDIR": folder}
        environ["BLOCKS"] = str(BLOCKS // 10 if quick else BLOCKS)
        if quick:
            environ |= {"TIMING_VALUES": "1", "TIMING_SHORTEST": "0.001"}
        contenders = [contender(name, pythons, environ) for name in chosen]
        script = str(SCRIPTS / "paired.py")
        command = [str(pythons["serverless-flags"]), script]
        contenders.append(Contender(PAIRED, command, environ))
        return interleave(contenders, rounds, measure=timed, warmups=0, group=ALONE)


def contender(
    name: str, pythons: Mapping[str, Path], environ: Mapping[str, str]
) -> Contender:
    """Return a contender; ``pythons`` is by what the process has installed."""
    kind = KINDS[name]
    command = [str(pythons[kind.ships]), str(SCRIPTS / f"{kind.script}.py")]
    return Contender(name, command, {**environ, **kind.environ})


def timed(contender: Contender) -> Values:
    """Run a contender's process; return what the process itself has measured."""
    values = run_process(contender)
    return {name: value for name, value in values.items() if name != FIRST_FLAG}


# -- report ----------------------------------------------------------------------------
class _Target(NamedTuple):
    """A ratio that ``paired.py`` measures, and its target."""

    name: str
    key: str
    most: float


TARGETS = (
    _Target(f"{UNLEASH} / {RAW}", "unleash / raw", 1.05),
    _Target("the same, in an invocation", "unleash inside / raw", 1.05),
    _Target(f"{LEAN} / {RAW}", "lean / raw", 0.5),
    _Target("the same, in an invocation", "lean inside / raw", 0.5),
    _Target(f"{LEAN} / {CALLS}", "lean / calls", 1.15),
    _Target("the same, in an invocation", "lean inside / calls", 1.15),
)


def report(results: Results) -> str:
    """Return the tables and the plot."""
    asked = quantity("is_enabled, userId", "seconds")
    values = {name: results.median(ALONE, name, asked) * 1e6 for name in KINDS}
    values = dict(sorted(values.items(), key=lambda item: item[1]))
    return "\n\n".join(
        (
            "Ratios of the cost of one evaluation, with all clients in one process:",
            _targets(results),
            "Microseconds of one evaluation, with each client in its own process:",
            _costs(results, list(values)),
            page.bars("evaluation", "One evaluation with a userId", "µs", values),
            NOTES,
        )
    )


def paired(results: Results, key: str, question: str) -> float:
    """Return the median over the processes of a ratio measured in each."""
    name = quantity(f"{key}, {question}", "number")
    return statistics.median(results.values(ALONE, PAIRED, name))


def _targets(results: Results) -> str:
    rows = [
        [
            target.name,
            f"≤ {target.most:.2f} ×",
            *(
                page.times(paired(results, target.key, question))
                for question in QUESTIONS
            ),
        ]
        for target in TARGETS
    ]
    return page.table(["", "target", *map(_title, QUESTIONS)], rows)


def _costs(results: Results, names: list[str]) -> str:
    rows = [
        [
            name,
            *(
                page.us(results.median(ALONE, name, quantity(question, "seconds")))
                for question in QUESTIONS
            ),
        ]
        for name in names
    ]
    return page.table(["", *map(_title, QUESTIONS)], rows)


def _title(question: str) -> str:
    method, context = question.split(", ")
    return f"`{method}`, {context}"


NOTES = """\
A ratio is the median over short blocks of calls that alternate in shuffled order on one
core, and then the median over the processes. The engine's check and count calls are
those that `lean` makes, given the whole context as a `dict`, which they turn into JSON.
What `lean` adds to them is the making of that context: the application's name, the
environment, the time, and the caller's fields as strings. "JSON ready" leaves out the
JSON as well.

Every contender has 100 flags. Without a context the flag is on for everybody; otherwise
it is on for sixteen users by a rule on the `userId`. The answer is checked. For the
peers that are not Unleash clients, `get_variant` stands for a flag with a string as its
value. UnleashClient and the provider are given their flag state, without metrics and
registration; they count evaluations as serverless-flags does. "In an invocation" the
caller passes the context; with "the invocation's context" the context comes from the
invocation, and the caller passes none.

LaunchDarkly uses its test data source without events, ConfigCat local flags only,
Flagsmith an environment document in its offline mode, which returns all flags of one
identity for each evaluation, and Powertools a store that keeps its schema in memory.
GrowthBook is given its attributes beforehand, so its row does not include their cost.
None of these counts evaluations as Unleash's clients do."""
