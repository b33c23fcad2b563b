"""
Interrupt a session at every line: ``python tests/injector/run.py``.

An exception from outside may arrive at any line that the thread of your function runs:
a request timeout of the framework, the exception of a signal handler, a cancellation.
This command raises one before each line of this package that an invocation runs on its
own thread, once an `Exception` and once a `BaseException`, and cancels the task of an
``async def`` function at each suspension. Each trial has a new session and a flag
server on loopback. It interrupts one invocation, for the user alice, and then runs two
more on the same thread and in the same context, for the user bob. These promises hold:

- the caller gets the exception, or the function's own result or exception, unchanged;
- the next invocation has bob's context only, and at the latest the one after it has the
  server's current flags;
- each evaluation that was answered is counted once, by the server or in ``uncounted``
  or ``unknown_counts`` of the status;
- nothing hangs; no lock stays held, no thread stays alive, and no invocation stays
  current; the status has a ``last_error`` while there are no flags.

A mode is ``client/platform/form/flush_interval/stage``: ``lean/cloud/async/0/first``.
Lines that no Python code can guard are listed with the reason, and are not interrupted.

    python tests/injector/run.py                            everything, in some minutes
    python tests/injector/run.py --client lean              one client
    python tests/injector/run.py --mode "*/local/*/first"   some modes
    python tests/injector/run.py --place scope.py:118       one line, in every mode
    python tests/injector/run.py --sample 5 --seed 2        five random places a mode
    python tests/injector/run.py --verbose                  every violation in detail

Exits with 1 if a promise was broken. To examine one violation, pass its mode and its
place: ``run.py --mode lean/cloud/def/0/first --place scope.py:118 --verbose``.
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import importlib.util
import json
import logging
import os
import pkgutil
import re
import subprocess
import sys
import time
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from platform import python_version
from typing import TYPE_CHECKING, Any

from modes import CLIENTS, Mode, all_modes, named

if TYPE_CHECKING:
    from collections.abc import Iterator

ADAPTERS = (
    "serverless_flags_aws_lambda",
    "serverless_flags_azure_functions",
    "serverless_flags_gcp_cloud_functions",
)
Report = dict[str, Any]

GROUP_TIMEOUT = 1800.0
"""Seconds after which the process of a group of modes is killed."""


def main() -> int:
    """Run the chosen modes, print the results, return the exit code."""
    options = _options()
    if options.inside:
        _run_inside(options)
        return 0
    began = time.monotonic()
    _say(f"Python {python_version()}")
    reports = list(_run_all(options))
    _print_exempt(reports)
    violations = _print_violations(reports, verbose=options.verbose)
    trials = sum(report["trials"] for report in reports)
    seconds = time.monotonic() - began
    counts = f"{len(reports)} modes, {trials} trials, {violations} violations"
    _say(f"{counts}, {seconds:.0f} s")
    return min(1, violations)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--client", choices=CLIENTS)
    parser.add_argument("--mode", default="*", help="a pattern of modes")
    parser.add_argument("--place", default="", help="FILE:LINE, or a part of it")
    parser.add_argument("--sample", type=int, default=0, help="trials of each mode")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--session", default="", help=argparse.SUPPRESS)
    parser.add_argument("--inside", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def _say(*values: object) -> None:
    print(*values, flush=True)  # noqa: T201  reason: a command line prints


# -- the processes -----------------------------------------------------------------
def _run_all(options: argparse.Namespace) -> Iterator[Report]:
    """Run the modes, each group in its own process; print a line for each mode."""
    missing = {name for name in ADAPTERS if importlib.util.find_spec(name) is None}
    for name in sorted(missing):
        _say(f"skipped, not installed: {name}")
    modes = [
        mode
        for mode in all_modes()
        if options.client in (None, mode.client)
        and fnmatch.fnmatch(mode.name, options.mode)
        and f"serverless_flags_{mode.shape.platform}" not in missing
    ]
    groups = [list(group) for _, group in groupby(modes, attrgetter("group"))]
    with ThreadPoolExecutor(options.jobs) as pool:
        for reports in pool.map(lambda group: _run_group(options, group), groups):
            for report in reports:
                _say(_line(report))
                yield report


def _run_group(options: argparse.Namespace, group: list[Mode]) -> list[Report]:
    names = [mode.name for mode in group]
    command = [sys.executable, __file__, "--place", options.place]
    command += ["--sample", str(options.sample), "--seed", str(options.seed)]
    command += ["--session", options.session]
    environ = {n: v for n, v in os.environ.items() if not n.startswith(_REMOVED)}
    with subprocess.Popen(
        [*command, "--inside", *names],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=GROUP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
    reports: list[Report] = [json.loads(line) for line in output.splitlines()]
    why = f"exit {process.returncode}: {errors[-2000:]}"
    return reports + [_died(name, why) for name in names[len(reports) :]]


_REMOVED = (
    "AWS_", "AZURE_", "COVERAGE_", "FUNCTION", "K_", "PYTHONSAFEPATH",
    "SERVERLESS_FLAGS_", "UNLEASH_", "WEBSITE_", "all_proxy", "http_proxy",
    "ALL_PROXY", "HTTP_PROXY",
)  # fmt: skip
"""Variables of the caller that must not reach the trials."""


def _died(mode: str, what: str) -> Report:
    violation = {"kind": "process", "what": what, "exception": "-", "place": "-"}
    numbers = {"places": 0, "trials": 0, "not_reached": 0, "exempt": {}}
    return {"mode": mode, "violations": [violation], **numbers}


def _run_inside(options: argparse.Namespace) -> None:
    """Run some modes in this process; print each report as one line of JSON."""
    from campaign import Campaign, load_session, package_folders

    warnings.simplefilter("ignore")  # for example of coroutines that were never awaited
    logging.getLogger().addHandler(logging.NullHandler())
    packages, session_class = package_folders(), None
    if options.session:
        packages, session_class = load_session(options.session)
    _import_all(named(options.inside[0]).client)
    gc.freeze()
    for name in options.inside:
        campaign = Campaign(named(name), packages, session_class)
        report = campaign.run(options.place, options.sample, options.seed)
        _say(json.dumps(asdict(report)))


def _import_all(client: str) -> None:
    """Import what a session imports late, because each trial runs in a new fork."""
    for package in ("serverless_flags", *ADAPTERS):
        if importlib.util.find_spec(package) is None:
            continue
        for module in pkgutil.walk_packages(
            importlib.import_module(package).__path__, f"{package}."
        ):
            if not _NOT_IN_PRODUCTION.search(module.name):
                importlib.import_module(module.name)
    for name in ("asyncio", "yggdrasil_engine", "werkzeug.test"):
        importlib.import_module(name)
    if client == "unleash":
        importlib.import_module("UnleashClient")


_NOT_IN_PRODUCTION = re.compile(r"serverless_flags\.(cli|testing)\b|\._emulator\b")


# -- what is printed ---------------------------------------------------------------
def _line(report: Report) -> str:
    kinds = Counter(violation["kind"] for violation in report["violations"])
    found = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())) or "none"
    return (
        f"{report['mode']:38} {report['places']:4} places, {report['trials']:4} trials,"
        f" {report['not_reached']:2} not reached, violations: {found}"
    )


def _print_exempt(reports: list[Report]) -> None:
    reasons: dict[str, set[str]] = defaultdict(set)
    for report in reports:
        for place, reason in report["exempt"].items():
            reasons[reason].add(place)
    for reason, places in sorted(reasons.items()):
        _say(f"\nexempt, {reason}:")
        for place in sorted(places):
            _say(f"    {place}")


def _print_violations(reports: list[Report], *, verbose: bool) -> int:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for report in reports:
        for violation in report["violations"]:
            detail = f"{report['mode']} {violation['exception']}: {violation['what']}"
            found[violation["kind"], violation["place"]].append(detail)
    _say("\nviolations:" if found else "")
    for (kind, place), details in sorted(found.items()):
        _say(f"    {kind:10} {place}  ({len(details)}, e.g. {details[0]})")
        if verbose:
            for detail in details[1:]:
                _say(f"               {detail}")
    return sum(map(len, found.values()))


if __name__ == "__main__":
    sys.exit(main())
