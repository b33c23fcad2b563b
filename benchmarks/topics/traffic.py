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
"""Nothing in it but the jitter of `max_age` differs from run to run."""

HEARD = "serverless-flags, end heard"
UNHEARD = "serverless-flags, end not heard"
PLAIN = "plain SDK, never frozen"
CONTENDERS = (HEARD, UNHEARD, PLAIN)


class _Rate(NamedTuple):
    """How often a function is called, and how much of the hour is lived."""

    every: float
    window: Mapping[str, float]

    def window_of(self, name: str) -> float:
        return self.window.get(name, 3600.0)


RATES = {
    "1 call a minute": _Rate(60.0, {}),
    "1 call a second": _Rate(1.0, {}),
    "100 calls a second": _Rate(0.01, {UNHEARD: 60.0, PLAIN: 360.0}),
}


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Live the hour at each rate; at most three times, whatever ``rounds`` says."""
    pythons = {
        PLAIN: environment("traffic-plain", ["UnleashClient>=6.9,<7"]),
        HEARD: environment("traffic-serverless-flags", [CORE]),
    }
    pythons[UNHEARD] = pythons[HEARD]
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
    lived = {
        "EVERY": str(rate.every),
        "WINDOW": str(rate.window_of(name)),
        "HEARD": str(int(name == HEARD)),
    }
    command = [str(python), str(SCRIPTS / f"{script}.py")]
    return Contender(name, command, {**environ, **lived})


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
                f"One instance in one hour, {FLAGS} flags that do not change, three"
                " evaluations a call; its start and its end are in it."
            ),
            page.table(["", "requests", "connections", "kB"], rows),
            page.bars("traffic", title, "kB", values),
            NOTES,
        )
    )


OFF_SCALE = {(UNHEARD, "1 call a second"), (UNHEARD, "100 calls a second")}
"""Left out of the plot, beside which all others would be nothing."""

NOTES = """\
All bytes sent and received are counted, with the headers, without TCP and TLS. Both our
clients send the same; `lean` was measured. Settings are the defaults. The hour passes
on a simulated clock against a server on loopback that closes connections after 15 s
without a request, as Unleash does.

Where the platform tells of the instance's end, as all three clouds do, counts are sent
once a minute. Where it does not, as the 1st generation of Google's, each invocation
sends its own, for there may be no other: one request a call, until a `flush_interval`
is set.
The plot leaves that out at 1 and 100 calls a second. At 100 calls a second a minute was
lived and taken sixty times.

The plain SDK polls every 15 s and sends counts every 60 s, called or not, each over a
new connection; over TLS each would be a handshake. Its two jobs were run at the times
at which its scheduler runs them in an instance that is never frozen; at 100 calls a
second for six minutes, taken ten times. In one that is frozen between calls its
scheduler drops what is more than a second late: it sends less, and serves flags that
are older than its interval.

With calls all the time both ask equally often: as many requests, fewer bytes, a seventh
of the connections. With few calls ours ask only when they are called."""
