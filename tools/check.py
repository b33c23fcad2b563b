#!/usr/bin/env python3
"""
Check your change with the Python that runs this: style, types, imports and tests.

The first run creates an environment, such as ``.venv-3.11``, and installs everything
there. Arguments go to pytest::

    python3 tools/check.py
    python3 tools/check.py tests/session -x

Without arguments the tests of the core and of the documentation run. The slow ones,
whole lives of instances and exceptions at every line, run in ``tox``, and so do the
adapters' tests and the other versions of Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv-{}.{}".format(*sys.version_info)
BIN = VENV / "bin"
GROUPS = ("lint", "type", "imports", "docs")
TESTS = ("tests", "--ignore=tests/injector", "--ignore=tests/reliability")


def main() -> int:
    """Run every check, also after one has failed; return 1 if one did."""
    checks = {
        "style": ["ruff", "check", "."],
        "format": ["ruff", "format", "--check", "."],
        "types": ["mypy"],
        "imports": ["lint-imports"],
        "tests": ["pytest", "-q", *(sys.argv[1:] or TESTS)],
    }
    if not set_up():
        return 1
    passed = {name: run(name, *command) for name, command in checks.items()}
    failed = [name for name, well in passed.items() if not well]
    say(f"failed: {', '.join(failed)}" if failed else "everything passed")
    return 1 if failed else 0


def set_up() -> bool:
    """Create the environment once, and bring what is installed there up to date."""
    if not (BIN / "uv").exists():
        say(f"creating {VENV}")
        venv.create(VENV, with_pip=True)
        if not run("uv", "pip", "install", "--quiet", "uv"):
            return False
    what = [f"--group={group}" for group in GROUPS]
    what += ["--all-packages", "--extra=demo", "--inexact", "--quiet"]
    return run("installation", "uv", "sync", "--python", f"{BIN}/python", *what)


def run(name: str, *command: str) -> bool:
    """Run a program of the environment; return whether it succeeded."""
    start = time.monotonic()
    program, *arguments = command
    environ = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV)}
    environ.pop("VIRTUAL_ENV", None)
    done = subprocess.run(  # noqa: S603  reason: the commands are written above
        [BIN / program, *arguments], check=False, cwd=ROOT, env=environ
    )
    say(f"{name}: {time.monotonic() - start:.0f} s")
    return done.returncode == 0


def say(text: str) -> None:
    """Write a line between the output of the checks."""
    sys.stdout.write(f"-- {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
