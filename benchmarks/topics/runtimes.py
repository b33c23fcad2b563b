"""The first response of a cold instance, inside the three clouds' own runtimes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyperf

from benchmarks import report as page
from benchmarks.environments import AWS, AZURE, CORE, GCP, ROOT, environment
from benchmarks.rounds import (
    FIRST_FLAG,
    GIVE_UP_AFTER,
    Contender,
    ContenderError,
    Results,
    Values,
    clean_environ,
    interleave,
    quantity,
)
from benchmarks.servers import FAR, GOOGLE, served
from serverless_flags.testing import emulate

FUNCTIONS = ROOT / "benchmarks" / "contenders" / "runtimes"
FLAGS = 100
FIRST_RESPONSE = quantity("first response", "seconds")

NOTHING = "no flags"
PLAIN = "plain SDK"
UNLEASH = "serverless-flags unleash"
LEAN = "serverless-flags lean"
SNAPSHOT = f"{LEAN}, snapshot"
CONTENDERS = (NOTHING, PLAIN, UNLEASH, LEAN, SNAPSHOT)

SDK = "UnleashClient>=6.9,<7"

Response = tuple[float, float, str]
"""Seconds from the instance's start, the moment of receipt, the body."""


@dataclass(frozen=True)
class _Runtime:
    """What the instances of a platform have installed, and their Python."""

    title: str
    plain: tuple[str, ...]
    """Packages without this project."""
    ours: tuple[str, ...]
    python: str = "3.11"


RUNTIMES = {
    "aws_lambda": _Runtime(
        "awslambdaric", ("awslambdaric>=4", SDK), (CORE, f"{AWS}[emulator]")
    ),
    "gcp_cloud_functions": _Runtime(
        "functions-framework",
        ("functions-framework>=3.9", SDK),
        (CORE, f"{GCP}[emulator]"),
    ),
    # The worker's library needs a host, so all contenders have the adapter's.
    "azure_functions": _Runtime(
        "azure-functions-runtime",
        (CORE, f"{AZURE}[emulator]"),
        (CORE, f"{AZURE}[emulator]"),
        python="3.13",
    ),
}


# -- measure ---------------------------------------------------------------------------
def measure(rounds: int, *, quick: bool) -> list[pyperf.Benchmark]:
    """Measure all contenders in each runtime whose Python is installed."""
    benchmarks = []
    for platform, runtime in RUNTIMES.items():
        if not _has_python(runtime.python):
            print(f"{runtime.title} is left out: no Python {runtime.python}")
            continue
        pythons = _pythons(platform, runtime)
        with served(FLAGS) as (folder, environs):
            environ = {**environs[FAR], "FOLDER": str(folder)}
            benchmarks += interleave(
                [_contender(name, platform, pythons, environ) for name in CONTENDERS],
                rounds,
                measure=partial(_first_response, platform),
                warmups=0 if quick else 1,
                group=runtime.title,
            )
    return benchmarks


def _has_python(version: str) -> bool:
    """Whether uv finds this Python version, or can install it."""
    command = [sys.executable, "-m", "uv", "python"]
    found = [*command, "find", "--quiet", "--no-project", version]
    return not (
        subprocess.run(found, check=False, stdout=subprocess.DEVNULL).returncode
        and subprocess.run([*command, "install", version], check=False).returncode
    )


def _pythons(platform: str, runtime: _Runtime) -> dict[bool, Path]:
    """Return the interpreters, by whether they have this package."""
    build = partial(environment, python=runtime.python)
    ours = build(f"runtimes-{platform}", runtime.ours)
    if runtime.plain == runtime.ours:
        return {True: ours, False: ours}
    return {True: ours, False: build(f"runtimes-{platform}-plain", runtime.plain)}


def _contender(
    name: str, platform: str, pythons: Mapping[bool, Path], environ: Mapping[str, str]
) -> Contender:
    is_ours = name not in {NOTHING, PLAIN}
    script = {NOTHING: "no_flags", PLAIN: "plain_sdk"}.get(
        name, "serverless_flags_session"
    )
    extra = {}
    if is_ours:
        extra["SERVERLESS_FLAGS_CLIENT"] = "unleash" if name == UNLEASH else "lean"
    if name == SNAPSHOT:
        extra["SERVERLESS_FLAGS_SNAPSHOT"] = f"{environ['FOLDER']}/flags.json"
    command = [str(pythons[is_ours]), f"{FUNCTIONS / platform / script}.py"]
    return Contender(name, command, {**environ, **extra})


def _first_response(platform: str, contender: Contender) -> Values:
    """Start an instance, invoke it, and check what it says."""
    google = platform == "gcp_cloud_functions"
    respond = _respond_google if google else partial(_respond_emulated, platform)
    seconds, received, body = respond(contender)
    answer = json.loads(body)
    after_flag = received - answer.pop("at")  # one clock for all processes of Linux
    expected: dict[str, object] = {"enabled": True}
    if contender.name not in {NOTHING, PLAIN}:
        expected |= {"platform": platform, "flags": FLAGS}
    if answer != expected:
        message = f"{platform}, {contender.name}: {body}"
        raise ContenderError(message)
    return {FIRST_RESPONSE: seconds, FIRST_FLAG: seconds - after_flag}


def _respond_emulated(platform: str, contender: Contender) -> Response:
    """Run the instance in the adapter's emulator, and invoke it once."""
    python, script = contender.command
    path = str(Path(script).parent)
    own = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    environ = {**own, **contender.environ}
    target = f"{script}:handler"
    with emulate(platform, target, environ=environ, python=python) as instance:
        if platform == "aws_lambda":
            body = instance.invoke({}).body  # type: ignore[attr-defined]  # reason: the Lambda emulator's own
        else:
            body = instance.request("/").body
        return instance.cold_start, time.monotonic(), body


def _respond_google(contender: Contender) -> Response:
    """
    Ask as soon as functions-framework listens; its emulator checks every 20 ms only.

    gunicorn listens before it imports the function; the request waits until a worker
    takes it, as on Cloud Run.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    python, script = contender.command
    command = [python, "-m", "functions_framework", "--source", script]
    command += ["--target", "handler", "--host", "127.0.0.1", "--port", str(port)]
    environ = {**clean_environ(), **GOOGLE, **contender.environ, "PORT": str(port)}
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            body = _ask(_connected(port, began + GIVE_UP_AFTER, process))
            received = time.monotonic()
            return received - began, received, body
        except (OSError, http.client.HTTPException) as error:
            output.seek(0)
            message = f"{contender.name}: {error!r}\n{output.read().decode()}"
            raise ContenderError(message) from error
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _connected(
    port: int, deadline: float, process: subprocess.Popen[bytes]
) -> socket.socket:
    """Connect as soon as the port accepts connections."""
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.001)
        else:
            connection.settimeout(GIVE_UP_AFTER)
            return connection


def _ask(connected: socket.socket) -> str:
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.sock = connected
    with contextlib.closing(connection):
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.read().decode()


# -- report ----------------------------------------------------------------------------
def report(results: Results) -> str:
    """Return the tables and the plots."""
    return "\n\n".join(
        (
            "From the start of an instance's process to the first response received:",
            _table(results, FIRST_RESPONSE),
            "From its start to the first answer of `is_enabled`:",
            _table(results, FIRST_FLAG),
            *(_plot(results, group) for group in results.groups()),
            NOTES,
        )
    )


def _table(results: Results, what: str) -> str:
    rows = []
    for name in CONTENDERS:
        row = [name]
        for group in results.groups():
            row.append(page.ms(results.median(group, name, what)))
            row.append(page.times(results.ratio(group, name, PLAIN, what)))
        rows.append(row)
    head = [""]
    for group in results.groups():
        head += [f"{group}, ms", f"to {PLAIN}"]
    return page.table(head, rows)


def _plot(results: Results, group: str) -> str:
    medians = {
        name: results.median(group, name, FIRST_RESPONSE) * 1000 for name in CONTENDERS
    }
    title = f"Cold instance to first response, {group}"
    return page.bars(f"runtimes-{group}", title, "ms", medians)


NOTES = f"""\
{FLAGS} flags, {FAR}; the server and its distance are as above. The runtimes are the
clouds' own, from PyPI. The adapters' emulators start and call them; for Google it is a
client that asks as soon as gunicorn listens. The plain SDK is created and initialised
at import, as its tutorial shows. "{NOTHING}" is the runtime alone. A response includes
the wait of a session at the end of its first invocation: with a snapshot, for the
refresh that began in parallel."""
