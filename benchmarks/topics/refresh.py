"""An invocation while flags are refreshed, and what an unchanged refresh costs."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyperf

from benchmarks import report as page
from benchmarks.environments import CORE, GCP, ROOT, environment
from benchmarks.rounds import (
    FIRST_FLAG,
    Contender,
    Results,
    Values,
    interleave,
    quantity,
)
from benchmarks.rounds import cold as run_process
from benchmarks.servers import GOOGLE

SCRIPTS = ROOT / "benchmarks" / "contenders" / "refresh"
SIZES = (10, 100, 1000, 5000)
MOST_UNCHANGED = 5
"""Rounds for the cost of a 304: each round takes the mean of several already."""

UNLEASH, LEAN = "serverless-flags unleash", "serverless-flags lean"
PLAIN = "plain SDK"
CONTENDERS = (LEAN, UNLEASH, PLAIN)
CLIENTS = {LEAN: "lean", UNLEASH: "unleash"}

KINDS = {
    "evaluating": "three evaluations and nothing else",
    "computing": "a millisecond of JSON, then three evaluations",
}
"""What an invocation does."""
PERCENTILES = {
    "p50": "p50",
    "p99": "p99",
    "longest": "longest",
    "arriving": "p99 of arrivals",
}
WHEN = ("without", "during")
CHANGED = "a new state of 5,000 flags"
UNCHANGED_COST = quantity("304", "seconds")


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Measure invocations during a refresh, then refreshes that change nothing."""
    pythons = {
        PLAIN: environment("refresh-plain", ["UnleashClient>=6.9,<7"]),
        LEAN: environment("refresh-serverless-flags", [CORE, GCP]),
    }
    pythons[UNLEASH] = pythons[LEAN]
    sizes = (10,) if quick else SIZES
    with _served(SIZES) as environ:
        measured = {
            "MEASURES": "changed",
            "UNLEASH_URL": _url(environ, "changing", 5000),
        }
        contenders = _contenders(pythons, {**environ, **measured})
        benchmarks = _interleave(contenders, rounds, CHANGED)
        for size in sizes:
            url = _url(environ, "constant", size)
            measured = {"MEASURES": "unchanged", "UNLEASH_URL": url}
            contenders = _contenders(pythons, {**environ, **measured})
            fewer = min(rounds, MOST_UNCHANGED)
            benchmarks += _interleave(contenders, fewer, _unchanged(size))
    return benchmarks


def _interleave(
    contenders: Sequence[Contender], rounds: int, group: str
) -> list[pyperf.Benchmark]:
    return interleave(contenders, rounds, measure=_values, warmups=0, group=group)


def _unchanged(size: int) -> str:
    return f"the same {size} flags"


def _values(contender: Contender) -> Values:
    values = run_process(contender)
    return {name: value for name, value in values.items() if name != FIRST_FLAG}


@contextlib.contextmanager
def _served(sizes: Sequence[int]) -> Iterator[dict[str, str]]:
    """Serve from a separate process; yield the environment of all contenders."""
    command = [sys.executable, "-m", "benchmarks.contenders.refresh.server"]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [*command, *map(str, sizes)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None
        with server:
            try:
                port = int(server.stdout.readline())
                yield {
                    "PORT_OF_FLAGS": str(port),
                    "UNLEASH_API_TOKEN": "default:development.refresh",
                    "FOLDER": folder,
                    "HOME": folder,
                }
            finally:
                server.terminate()


def _url(environ: Mapping[str, str], kind: str, size: int) -> str:
    return f"http://127.0.0.1:{environ['PORT_OF_FLAGS']}/{kind}/{size}/api"


def _contenders(
    pythons: Mapping[str, Path], environ: Mapping[str, str]
) -> list[Contender]:
    contenders = []
    for name in CONTENDERS:
        script = "plain_sdk" if name == PLAIN else "serverless_flags_function"
        command = [str(pythons[name]), str(SCRIPTS / f"{script}.py")]
        extra = {}
        if name in CLIENTS:
            extra = {**GOOGLE, "SERVERLESS_FLAGS_CLIENT": CLIENTS[name]}
        contenders.append(Contender(name, command, {**environ, **extra}))
    return contenders


# -- report ----------------------------------------------------------------------------
def report(results: Results) -> str:
    """Return the tables and the plot."""
    return "\n\n".join(
        (
            (
                "Invocations run back to back on one thread while another thread"
                f" fetches {CHANGED}: from before its request is sent until the new"
                " state is in use and the old one freed."
            ),
            *(_during(results, kind) for kind in KINDS),
            NOTES,
            (
                "CPU milliseconds of a refresh that the server answers with 304, by"
                " number of flags:"
            ),
            _costs(results),
            _plot(results),
            UNCHANGED_NOTES,
        )
    )


def _quantity(kind: str, when: str, percentile: str) -> str:
    return quantity(f"{kind}, {when}, {percentile}", "seconds")


def _during(results: Results, kind: str) -> str:
    rows = []
    for name in CONTENDERS:
        cells = [
            _ms(results.median(CHANGED, name, _quantity(kind, when, percentile)))
            for percentile in PERCENTILES
            for when in WHEN
        ]
        took = _ms(
            results.median(CHANGED, name, quantity(f"{kind}, refresh", "seconds"))
        )
        rows.append([name, *cells, page.times(ratio(results, name, kind)), took])
    head = [
        "ms, without and during a refresh",
        *(
            f"{title}, during" if when == "during" else title
            for title in PERCENTILES.values()
            for when in WHEN
        ),
        "p99 during / without",
        "refresh",
    ]
    return f"An invocation is {KINDS[kind]}:\n\n{page.table(head, rows)}"


def _ms(seconds: float) -> str:
    """Return milliseconds; small ones with two significant digits."""
    value = seconds * 1000
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"  # noqa: PLR2004  reason: two digits


def ratio(results: Results, name: str, kind: str, percentile: str = "p99") -> float:
    """Return the median over the rounds of a percentile, during / without a refresh."""
    during, without = (
        results.values(CHANGED, name, _quantity(kind, when, percentile))
        for when in ("during", "without")
    )
    return statistics.median(a / b for a, b in zip(during, without, strict=True))


def _cost(results: Results, name: str, size: int) -> float:
    return results.median(_unchanged(size), name, UNCHANGED_COST) * 1000


def _costs(results: Results) -> str:
    rows = [
        [name, *(f"{_cost(results, name, size):.2f}" for size in SIZES)]
        for name in CONTENDERS
    ]
    return page.table(["", *(f"{size:,}" for size in SIZES)], rows)


def _plot(results: Results) -> str:
    series = {
        name: {float(size): _cost(results, name, size) for size in SIZES}
        for name in CONTENDERS
    }
    title = "CPU time of a refresh of unchanged flags"
    return page.lines("refresh", title, ("flags", "ms"), series)


NOTES = """\
The target is that the p99 of `lean` during a refresh is at most 2 × the p99 without
one. When invocations run back to back, a pause affects only one of them, however long
it is; so the p99 hides the pauses of the plain SDK, whose evaluations wait for the
whole parse. "p99 of arrivals" is what a caller sees whose call arrives at a random
moment and waits for its turn.

With serverless-flags no invocation waits for a parse. What remains are pauses of up to
5 ms while Python itself works on the answer: that is how long a computing thread may
keep the interpreter's lock from another one. They are too few to show in the p99, but
not in the p99 of arrivals. In turn, the invocations slow a refresh down.

serverless-flags is a wrapped function with Google's adapter selected; `refresh()` is
called on the other thread. The plain SDK, with its defaults, runs the job that its
scheduler would run. In production the one invocation that starts a refresh also waits
for it at its end, for at most 250 ms; this is not included. The server is a separate
process that has prepared all its answers."""

UNCHANGED_NOTES = """\
This is the CPU time of the whole process, the mean of eight refreshes over loopback.
The plain SDK passes the flags that it already has to its engine again."""
