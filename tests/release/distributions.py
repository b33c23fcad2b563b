"""The distributions of this repository, and how a tool is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
ADAPTERS = sorted(path.parent.name for path in ROOT.glob("adapters/*/pyproject.toml"))


class Project(NamedTuple):
    """A distribution, the folder of its project, and that of its package."""

    name: str
    folder: Path
    package: Path

    @property
    def dist(self) -> Path:
        """Where it is built."""
        return ROOT / "dist" / self.name


def _projects() -> list[Project]:
    """Return the core and each adapter."""
    found = [Project("serverless-flags", ROOT, ROOT / "serverless_flags")]
    for word in ADAPTERS:
        folder = ROOT / "adapters" / word
        package = folder / "src" / f"serverless_flags_{word}"
        name = f"serverless-flags-{word.replace('_', '-')}"
        found.append(Project(name, folder, package))
    return found


PROJECTS = _projects()


def run(program: str, *arguments: str | Path, **options: Any) -> None:
    """Run a program of this environment; its output is shown when it fails."""
    path = Path(sys.executable).parent / program
    subprocess.run([path, *arguments], check=True, **options)
