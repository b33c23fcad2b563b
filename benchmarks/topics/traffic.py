"""Requests, bytes and connections of one instance in one hour."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyperf

from benchmarks import report as page
from benchmarks.contenders.flag_server import features
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
from serverless_flags.testing import FlagServer

SCRIPTS = ROOT / "benchmarks" / "contenders" / "traffic"
REQUESTS = quantity("requests", "number")
BYTES = quantity("bytes", "bytes")
CONNECTIONS = quantity("connections", "number")
FLAGS = 100
MOST_ROUNDS = 3
"""Only the jitter of `max_age` differs from run to run."""

CONNECTED = "serverless-flags, termination signal"
NOT_CONNECTED = "serverless-flags, no termination signal"
PLAIN = "plain SDK, never frozen"
CONTENDERS = (CONNECTED, NOT_CONNECTED, PLAIN)


class _Rate(NamedTuple):
    """How often a function is called, and how many seconds of the hour are run."""

    every: float
    window: Mapping[str, float]

    def window_of(self, name: str) -> float:
        return self.window.get(name, 3600.0)


RATES = {
    "1 call a minute": _Rate(60.0, {}),
    "1 call a second": _Rate(1.0, {}),
    "100 calls a second": _Rate(0.01, {NOT_CONNECTED: 60.0, PLAIN: 360.0}),
}


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Run the hour at each rate; at most three times, whatever ``rounds`` says."""
    pythons = {
        PLAIN: environment("traffic-plain", ["UnleashClient>=6.9,<7"]),
        CONNECTED: environment("traffic-serverless-flags", [CORE]),
    }
    pythons[NOT_CONNECTED] = pythons[CONNECTED]
    chosen = list(RATES)[:1] if quick else RATES
    benchmarks = []
    with tempfile.TemporaryDirectory() as folder, FlagServer(features(FLAGS)) as server:
        for title in chosen:
            environ = {**server.environ, "FOLDER": folder, "HOME": folder}
            contenders = [
                _contender(name, RATES[title], pythons[name], environ)
                for name in CONTENDERS
            ]
            benchmarks += interleave(
                contenders,
                min(rounds, MOST_ROUNDS),
                measure=_hour,
                warmups=0,
                group=title,
            )
    return benchmarks


def _hour(contender: Contender) -> Values:
    values = run_process(contender)
    return {name: value for name, value in values.items() if name != FIRST_FLAG}


def _contender(
    name: str, rate: _Rate, python: Path, environ: Mapping[str, str]
) -> Contender:
    script = "plain_sdk" if name == PLAIN else "serverless_flags_function"
    hour = {
        "EVERY": str(rate.every),
        "WINDOW": str(rate.window_of(name)),
        "CONNECTED": str(int(name == CONNECTED)),
    }
    command = [str(python), str(SCRIPTS / f"{script}.py")]
    return Contender(name, command, {**environ, **hour})


# -- report ----------------------------------------------------------------------------
def report(results: Results) -> str:
    """Return the table and the plot."""
    rows = [
        [
            f"{title}: {name}",
            *(
                f"{results.median(title, name, what):,.0f}"
                for what in (REQUESTS, CONNECTIONS)
            ),
            f"{results.median(title, name, BYTES) / 1000:,.0f}",
        ]
        for title in RATES
        for name in CONTENDERS
    ]
    title = f"Kilobytes per instance-hour, {FLAGS} flags that do not change"
    values = {
        f"{name}, {rate}": results.median(rate, name, BYTES) / 1000
        for rate in RATES
        for name in CONTENDERS
        if (name, rate) not in OFF_SCALE
    }
    return "\n\n".join(
        (
            (
                f"One instance in one hour, with {FLAGS} flags that do not change and"
                " three evaluations a call, including its start and its end."
            ),
            page.table(["", "requests", "connections", "kB"], rows),
            page.bars("traffic", title, "kB", values),
            NOTES,
        )
    )


OFF_SCALE = {(NOT_CONNECTED, "1 call a second"), (NOT_CONNECTED, "100 calls a second")}
"""Omitted from the plot, because they would make all other bars invisible."""

NOTES = """\
All bytes sent and received are counted, including headers but not TCP and TLS. Both
clients of serverless-flags send the same; `lean` was measured. All settings have their
defaults. The hour passes on a simulated clock, against a server on loopback that closes
connections after 15 s without a request, as Unleash does.

On a platform that announces the end of an instance, as all three clouds do, counts are
sent once a minute. On a platform that does not, such as the 1st generation of Google
Cloud Functions, each invocation sends its own counts, because it may be the last one:
one request for each call, unless you set a `flush_interval`.
The plot omits these rows at 1 and 100 calls a second. At 100 calls a second one minute
was run and multiplied by sixty.

The plain SDK polls every 15 s and sends counts every 60 s, whether it is called or not,
each over a new connection; over TLS each would need a handshake. Its two jobs were run
at the times at which its scheduler runs them in an instance that is never frozen; at
100 calls a second for six minutes, multiplied by ten. In an instance that is frozen
between calls, its scheduler skips jobs that are more than a second late: it sends less,
and serves flags that are older than its interval.

With constant traffic both ask equally often: serverless-flags makes as many requests,
with fewer bytes and a seventh of the connections. With few calls, serverless-flags asks
only when it is called."""
