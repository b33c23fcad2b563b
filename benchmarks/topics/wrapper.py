"""What a wrapper adds to one invocation while nothing is due."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyperf

from benchmarks import report as page
from benchmarks.contenders.idle.extensions_api import extensions_api
from benchmarks.environments import AWS, AZURE, CORE, GCP, ROOT, environment
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

CONTENDERS = ROOT / "benchmarks" / "contenders"
SCRIPTS = CONTENDERS / "wrapper"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
USUAL = "3.11"
"""The Python of the peers."""

ON_AWS = "serverless-flags on AWS Lambda"
OURS = {
    ON_AWS: "aws_lambda",
    "serverless-flags on Google": "gcp_cloud_functions",
    "serverless-flags on Azure": "azure_functions",
    "serverless-flags, local": "local",
}
ON_AWS_UNLEASH = f"{ON_AWS}, client unleash"

FLAGS = "Powertools feature flags"


class _Peer(NamedTuple):
    """How a peer is run."""

    ships: str
    script: str
    environ: Mapping[str, str]


_TRACED = {
    "HOW": "tracer",
    "LAMBDA_TASK_ROOT": "/var/task",
    "AWS_LAMBDA_FUNCTION_NAME": "handler",
    "_X_AMZN_TRACE_ID": (
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    ),
}
PEERS = {
    "Powertools `inject_lambda_context`": _Peer(
        "powertools", "powertools", {"HOW": "logger"}
    ),
    "Powertools `log_metrics`, one metric": _Peer(
        "powertools", "powertools", {"HOW": "metrics"}
    ),
    "Powertools `capture_lambda_handler`, disabled": _Peer(
        "powertools",
        "powertools",
        {"HOW": "tracer", "POWERTOOLS_TRACE_DISABLED": "true"},
    ),
    "Powertools `capture_lambda_handler`": _Peer("powertools", "powertools", _TRACED),
    FLAGS: _Peer("powertools", "powertools", {"HOW": "flags"}),
    "Sentry, errors": _Peer("sentry", "sentry", {"HOW": "errors"}),
    "Sentry, errors and traces": _Peer("sentry", "sentry", {"HOW": "traces"}),
    "OpenTelemetry": _Peer(
        "opentelemetry",
        "opentelemetry_lambda",
        {"AWS_LAMBDA_FUNCTION_NAME": "handler", "_HANDLER": "_handlers.handler"},
    ),
}
SHIPS = {
    "powertools": ["aws-lambda-powertools[tracer,aws-sdk]"],
    "sentry": ["sentry-sdk"],
    "opentelemetry": [
        "opentelemetry-instrumentation-aws-lambda",
        "opentelemetry-sdk",
    ],
}
"""What the peers have installed, besides pyperf."""
OUR_PACKAGES = [CORE, AWS, GCP, AZURE, "flask", "azure-functions"]

PLAIN, WRAPPED = quantity("plain", "seconds"), quantity("wrapped", "seconds")
PLAIN_ASYNC = quantity("plain async", "seconds")
WRAPPED_ASYNC = quantity("wrapped async", "seconds")
ONE_FLAG = quantity("one flag", "seconds")


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Measure this package on each Python, and the peers on one."""
    versions = (USUAL,) if quick else PYTHONS
    packages = [*OUR_PACKAGES, "pyperf"]
    pythons = {
        version: environment(f"wrapper-{version}", packages, python=version)
        for version in versions
    }
    theirs = {
        ship: environment(f"wrapper-{ship}", [*packages, "pyperf"])
        for ship, packages in ({} if quick else SHIPS).items()
    }
    with surroundings(quick=quick) as (environ, platforms):
        contenders = [
            contender
            for version, python in pythons.items()
            for contender in own_contenders(version, python, environ, platforms)
        ]
        if not quick:
            contenders += _peers(theirs, environ)
        return interleave(contenders, rounds, measure=timed, warmups=0, group="all")


@contextlib.contextmanager
def surroundings(
    *, quick: bool
) -> Iterator[tuple[dict[str, str], dict[str, dict[str, str]]]]:
    """Serve flags; yield the common environment, and each platform's variables."""
    with served(10) as (folder, environs), extensions_api() as api:
        environ = {"PYTHONPATH": str(CONTENDERS), "HOME": str(folder), **environs[NEAR]}
        if quick:
            environ |= {"TIMING_VALUES": "1", "TIMING_SHORTEST": "0.001"}
        yield (
            environ,
            {
                "aws_lambda": {
                    "AWS_LAMBDA_FUNCTION_NAME": "handler",
                    "AWS_LAMBDA_RUNTIME_API": api,
                },
                "gcp_cloud_functions": GOOGLE,
                "azure_functions": {"FUNCTIONS_WORKER_RUNTIME": "python"},
                "local": {},
            },
        )


def own_contenders(
    version: str,
    python: Path,
    environ: Mapping[str, str],
    platforms: Mapping[str, Mapping[str, str]],
) -> Iterator[Contender]:
    """Yield this package on one Python, on each platform."""
    command = [str(python), str(SCRIPTS / "serverless_flags_function.py")]
    runs = [(name, platform, "lean") for name, platform in OURS.items()]
    if version == USUAL:
        runs.append((ON_AWS_UNLEASH, "aws_lambda", "unleash"))
    for name, platform, client in runs:
        chosen = {"PLATFORM": platform, "SERVERLESS_FLAGS_CLIENT": client}
        yield Contender(
            _on(name, version), command, {**environ, **platforms[platform], **chosen}
        )


def _peers(pythons: Mapping[str, Path], environ: Mapping[str, str]) -> list[Contender]:
    return [
        Contender(
            name,
            [str(pythons[peer.ships]), str(SCRIPTS / f"{peer.script}.py")],
            {**environ, **peer.environ},
        )
        for name, peer in PEERS.items()
    ]


def _on(name: str, version: str) -> str:
    return f"{name}, Python {version}"


def timed(contender: Contender) -> Values:
    """Run a contender's process; return what the process itself has measured."""
    values = run_process(contender)
    return {name: value for name, value in values.items() if name != FIRST_FLAG}


# -- report ----------------------------------------------------------------------------
def added(results: Results, name: str, wrapped: str, plain: str = PLAIN) -> float:
    """Return the median over the rounds of what a wrapper adds, in seconds."""
    pairs = zip(
        results.values("all", name, wrapped),
        results.values("all", name, plain),
        strict=True,
    )
    return statistics.median(ours - theirs for ours, theirs in pairs)


def report(results: Results) -> str:
    """Return the tables and the plot."""
    return "\n\n".join(
        (
            (
                "Microseconds that a wrapper adds to an invocation while nothing is"
                " due, sync / async; the target is at most 5 / 10 on AWS Lambda:"
            ),
            _by_python(results),
            f"Compared with the peers, for `def` handlers on Python {USUAL}:",
            _peers_table(results),
            _plot(results),
            NOTES,
            "Microseconds that one flag adds to a handler, including the wrapper:",
            _one_flag(results),
        )
    )


def _by_python(results: Results) -> str:
    rows = []
    for name in OURS:
        cells = []
        for version in PYTHONS:
            contender = _on(name, version)
            sync = added(results, contender, WRAPPED)
            awaited = added(results, contender, WRAPPED_ASYNC, PLAIN_ASYNC)
            cells.append(f"{page.us(sync)} / {page.us(awaited)}")
        rows.append([name, *cells])
    return page.table(["", *(f"Python {version}" for version in PYTHONS)], rows)


def _costs_with_peers(results: Results) -> dict[str, float]:
    costs = {name: added(results, _on(name, USUAL), WRAPPED) for name in OURS}
    for name in PEERS:
        if name != FLAGS:
            costs[name] = added(results, name, WRAPPED)
    return dict(sorted(costs.items(), key=lambda item: item[1]))


def _peers_table(results: Results) -> str:
    rows = [[name, page.us(cost)] for name, cost in _costs_with_peers(results).items()]
    return page.table(["", "µs added"], rows)


def _plot(results: Results) -> str:
    values = {
        name.replace("`", ""): cost * 1e6
        for name, cost in _costs_with_peers(results).items()
    }
    title = "What a wrapper adds to an invocation"
    return page.bars("wrapper", title, "µs", values)


def _one_flag(results: Results) -> str:
    contenders = {
        f"{ON_AWS}, client lean": _on(ON_AWS, USUAL),
        ON_AWS_UNLEASH: _on(ON_AWS_UNLEASH, USUAL),
        f"{FLAGS}, no wrapper": FLAGS,
    }
    rows = [
        [title, page.us(added(results, name, ONE_FLAG))]
        for title, name in contenders.items()
    ]
    return page.table(["", "µs"], rows)


NOTES = """\
Each process also times the plain handler, and subtracts it. serverless-flags runs with
the platform's adapter selected, its signals connected and fresh flags from a server. On
AWS an `async def` handler is compared with a bare `run_until_complete` on an event loop
that is kept; elsewhere the runtime awaits both.

Powertools has boto3 and the X-Ray SDK installed. Its metrics and logs go to
`/dev/null`, its traces to an emitter that drops them; the handler of `log_metrics` adds
one metric, because it warns without any. Sentry's transport drops everything, its
integration runs in a stand-in for awslambdaric's loop, and its row includes the flush
before each response. OpenTelemetry has a batch processor with an exporter that drops
everything; its row also includes the flush at the end of each invocation. These tools
do other work than serverless-flags does: the comparison shows what overhead is common,
not which tool is better."""
