"""The functions whose cold starts are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import CORE, GCP, ROOT
from benchmarks.rounds import Contender
from benchmarks.servers import GOOGLE

SCRIPTS = ROOT / "benchmarks" / "contenders" / "cold"
FLAGS = (10, 100, 1000, 5000)

BARE = "bare python"
PLAIN = "plain SDK"
UNLEASH = "serverless-flags unleash"
LEAN = "serverless-flags lean"
UNLEASH_SNAPSHOT = f"{UNLEASH}, snapshot"
LEAN_SNAPSHOT = f"{LEAN}, snapshot"
FLOOR = "engine floor"
OPENFEATURE = "OpenFeature + official Unleash provider"

SHIPS = {
    "serverless-flags": [CORE, GCP],
    "plain-sdk": ["UnleashClient>=6.9,<7"],
    "engine": ["yggdrasil-engine>=2,<3"],
    "openfeature": ["unleash-openfeature-python-provider"],
}
"""What each kind of function has installed."""


@dataclass(frozen=True)
class Kind:
    """How a contender is run."""

    ships: str
    script: str
    client: str = ""
    snapshot: bool = False
    most_flags: int = FLAGS[-1]
    """With more flags the contender shows nothing new."""


KINDS = {
    BARE: Kind("engine", "bare_python"),
    PLAIN: Kind("plain-sdk", "plain_sdk"),
    OPENFEATURE: Kind("openfeature", "openfeature_unleash", most_flags=100),
    UNLEASH: Kind("serverless-flags", "serverless_flags_function", "unleash"),
    LEAN: Kind("serverless-flags", "serverless_flags_function", "lean"),
    UNLEASH_SNAPSHOT: Kind(
        "serverless-flags", "serverless_flags_function", "unleash", snapshot=True
    ),
    LEAN_SNAPSHOT: Kind(
        "serverless-flags", "serverless_flags_function", "lean", snapshot=True
    ),
    FLOOR: Kind("engine", "engine_floor", snapshot=True),
}


def contender(
    name: str, pythons: Mapping[str, Path], environ: Mapping[str, str]
) -> Contender:
    """Return a contender; ``pythons`` is by what the function ships."""
    kind = KINDS[name]
    extra = {}
    if kind.client:
        extra = {**GOOGLE, "SERVERLESS_FLAGS_CLIENT": kind.client}
        extra["EXPECTED_SOURCE"] = "snapshot" if kind.snapshot else "server"
    if kind.snapshot:
        extra["SERVERLESS_FLAGS_SNAPSHOT"] = f"{environ['FOLDER']}/flags.json"
    command = [str(pythons[kind.ships]), str(SCRIPTS / f"{kind.script}.py")]
    return Contender(name, command, {**environ, **extra})
