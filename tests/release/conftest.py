"""What a release would publish: built here into ``dist/``, one folder for each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from distributions import PROJECTS, ROOT, run

NEEDED = (".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml")
"""What a build reads, apart from the folders of the packages."""
LONG_AGO = "1580601600"
"""The time stamp of what is built outside a git repository, the same as hatchling's."""


def _epoch() -> str:
    """Return the time of the commit, which is the time stamp of every file."""
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True)
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return given or done.stdout.decode().strip() or LONG_AGO


def _build(root: Path, dist: Path, **environ: str) -> None:
    """Build an sdist of each project, and a wheel from it."""
    variables = {**os.environ, "SOURCE_DATE_EPOCH": _epoch(), **environ}
    for project in PROJECTS:
        what = ["--quiet", "--package", project.name, "--out-dir", dist / project.name]
        run("uv", "build", *what, cwd=root, env=variables)
        (dist / project.name / ".gitignore").unlink(missing_ok=True)


@pytest.fixture(name="dist", scope="session")
def _dist() -> Path:
    """Return the folder of what would be published, built anew."""
    for name in ("sbom", *(project.name for project in PROJECTS)):
        shutil.rmtree(ROOT / "dist" / name, ignore_errors=True)
    _build(ROOT, ROOT / "dist")
    return ROOT / "dist"


@pytest.fixture(name="again", scope="session")
def _again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the same from a copy elsewhere, with new files and another time zone."""
    root = tmp_path_factory.mktemp("elsewhere")
    for name in NEEDED:
        shutil.copyfile(ROOT / name, root / name)
    for name in ("serverless_flags", "adapters"):
        ignore = shutil.ignore_patterns("__pycache__")
        copy = shutil.copyfile
        shutil.copytree(ROOT / name, root / name, ignore=ignore, copy_function=copy)
    _build(root, root / "dist", TZ="Pacific/Auckland")
    return root / "dist"


@pytest.fixture(name="components", scope="session")
def _components(
    dist: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """
    Return what a function ships with every adapter: the core, and its dependencies.

    The bill of materials that lists it is left in ``dist/sbom``.
    """
    python = tmp_path_factory.mktemp("function") / "bin" / "python"
    run("uv", "venv", "--quiet", "--python", sys.executable, python.parents[1])
    wheels = sorted(dist.glob("*/*.whl"))
    run("uv", "pip", "install", "--quiet", "--no-sources", "--python", python, *wheels)
    bill = dist / "sbom" / "serverless-flags.cdx.json"
    bill.parent.mkdir()
    what = ["--output-reproducible", "--mc-type", "library"]
    what += ["--pyproject", ROOT / "pyproject.toml", "--output-file", bill, python]
    run("cyclonedx-py", "environment", *what)
    return json.loads(bill.read_text())["components"]
