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
from benchmarks.topics.cold import GOOGLE

SCRIPTS = ROOT / "benchmarks" / "contenders" / "refresh"
SIZES = (10, 100, 1000, 5000)
MOST_UNCHANGED = 5
"""Rounds for the cost of a 304, of which each takes the mean of several anyway."""

UNLEASH, LEAN = "serverless-flags unleash", "serverless-flags lean"
PLAIN = "plain SDK"
CONTENDERS = (LEAN, UNLEASH, PLAIN)
CLIENTS = {LEAN: "lean", UNLEASH: "unleash"}

KINDS = {
    "evaluating": "three evaluations and nothing else",
    "computing": "a millisecond of JSON, then three evaluations",
}
"""What an invocation does."""
WORDS = {
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
    """Measure invocations beside a refresh; then refreshes that change nothing."""
    pythons = {
        PLAIN: environment("refresh-plain", ["UnleashClient>=6.9,<7"]),
        LEAN: environment("refresh-serverless-flags", [CORE, GCP]),
    }
    pythons[UNLEASH] = pythons[LEAN]
    sizes = (10,) if quick else SIZES
    with _served(SIZES) as environ:
        point = {"MEASURES": "changed", "UNLEASH_URL": _url(environ, "changing", 5000)}
        contenders = _contenders(pythons, {**environ, **point})
        benchmarks = _interleave(contenders, rounds, CHANGED)
        for size in sizes:
            url = _url(environ, "constant", size)
            point = {"MEASURES": "unchanged", "UNLEASH_URL": url}
            contenders = _contenders(pythons, {**environ, **point})
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
    """Serve from a process of its own; yield what all contenders are told."""
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
                "Invocations back to back on one thread while another takes"
                f" {CHANGED}: from before its request is sent until the new state is"
                " evaluated and the old one freed."
            ),
            *(_beside(results, kind) for kind in KINDS),
            NOTES,
            (
                "CPU milliseconds of a refresh that is answered with 304, by number"
                " of flags:"
            ),
            _costs(results),
            _plot(results),
            UNCHANGED_NOTES,
        )
    )


def _quantity(kind: str, when: str, word: str) -> str:
    return quantity(f"{kind}, {when}, {word}", "seconds")


def _beside(results: Results, kind: str) -> str:
    rows = []
    for name in CONTENDERS:
        cells = [
            _ms(results.median(CHANGED, name, _quantity(kind, when, word)))
            for word in WORDS
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
            for title in WORDS.values()
            for when in WHEN
        ),
        "p99 during / without",
        "refresh",
    ]
    return f"An invocation is {KINDS[kind]}:\n\n{page.table(head, rows)}"


def _ms(seconds: float) -> str:
    """Return milliseconds, of which some are microseconds."""
    value = seconds * 1000
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"  # noqa: PLR2004  reason: two digits


def ratio(results: Results, name: str, kind: str, word: str = "p99") -> float:
    """Return the median over the rounds of a percentile during / without."""
    during, without = (
        results.values(CHANGED, name, _quantity(kind, when, word))
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
The aim is a p99 of `lean` of at most 2 × the one without a refresh. Back to back, a
pause meets one invocation however long it is, so p99 hides the plain SDK's, whose
evaluations wait for the whole parse. "p99 of arrivals" is what a call from outside
sees that comes at any moment and waits its turn.

No invocation of ours waits for a parse. What is left are pauses of up to 5 ms, for as
long as Python itself works on the answer: that is how long a thread that computes keeps
the interpreter's lock from another. They are too few for the p99 and not for that of
arrivals. The invocations in turn hold a refresh up, which then takes longer.

Ours are a wrapped function with Google's adapter elected and `refresh()` called on the
other thread; the plain SDK, at its defaults, runs the job that its scheduler would run.
In production the one invocation that begins a refresh also waits for it at its end, for
at most 250 ms, which is not part of this. The server, a process of its own, has all its
answers ready."""

UNCHANGED_NOTES = """\
It is the whole process's CPU time, the mean of eight refreshes over loopback. The plain
SDK hands the flags it has to its engine again."""
