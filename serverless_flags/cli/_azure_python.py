"""A Python >= 3.13 for Azure's runtime, which has no wheels for older versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NEEDED = (3, 13)
MODULES = (
    "azure_functions_runtime",
    "UnleashClient",
    "serverless_flags_azure_functions",
)
IS_COMPLETE = f"from importlib.util import *; exit(None in map(find_spec, {MODULES}))"
INSTALL_TIMEOUT = 600.0
"""Seconds for pip or uv to finish, even over a slow network."""


def azure_python(checkout: Path) -> str:
    """
    Return the path of a Python that has Azure's runtime, or of this Python.

    If this Python is too old, a virtual environment is created at the first call and
    used again later. If that fails, this Python runs the function with azure-functions.

    Args:
        checkout: the root of a checkout of this project, or any other folder; then the
            released packages are installed.
    """
    if sys.version_info >= NEEDED:
        return sys.executable
    environment = _directory(checkout)
    python = environment / "bin" / "python"
    if _succeeds([str(python), "-c", IS_COMPLETE]):
        return str(python)
    base = next(_pythons(), None)
    if base is None:
        return sys.executable
    click.echo(f"Installing Azure's runtime for {base}, once ...", err=True)
    if _install(base, environment, _requirements(checkout)):
        return str(python)
    click.echo("That failed; azure-functions 1.x runs the function instead.", err=True)
    return sys.executable


def _directory(checkout: Path) -> Path:
    if _is_checkout(checkout):
        return checkout / ".venv-azure_functions"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    release = version("serverless-flags")
    return Path(cache) / "serverless-flags" / f"azure_functions-{release}"


def _is_checkout(path: Path) -> bool:
    return (path / "adapters" / "azure_functions" / "pyproject.toml").is_file()


def _requirements(checkout: Path) -> list[str]:
    if _is_checkout(checkout):
        adapter = checkout / "adapters" / "azure_functions"
        return ["-e", str(checkout), "-e", f"{adapter}[emulator]"]
    release = version("serverless-flags")
    return [
        f"serverless-flags=={release}",
        "serverless-flags-azure-functions[emulator]",
    ]


def _pythons() -> Iterator[str]:
    """Yield interpreters that are new enough: uv's, the PATH's, pyenv's, a new one."""
    uv = _uv()
    if uv and (found := _output([uv, "python", "find", "3.13"])):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for name in ("python3.13", "python3.14"):
        candidates = [shutil.which(name), *pyenv.glob(f"versions/*/bin/{name}")]
        for candidate in candidates:
            if candidate and _succeeds([str(candidate), "-c", ""]):
                yield str(candidate)
    no_retries = {"UV_HTTP_RETRIES": "0"}
    if uv and _succeeds([uv, "python", "install", "3.13"], no_retries):
        yield _output([uv, "python", "find", "3.13"])


def _uv() -> str | None:
    """Return the path of uv, which it passes to its children in ``UV``, if it works."""
    uv = os.environ.get("UV") or shutil.which("uv")
    return uv if uv and _succeeds([uv, "--version"]) else None


def _install(base: str, environment: Path, requirements: Sequence[str]) -> bool:
    python = str(environment / "bin" / "python")
    if uv := _uv():
        create = [uv, "venv", "--quiet", "--clear", "--python", base, str(environment)]
        install = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        create = [base, "-m", "venv", "--clear", str(environment)]
        install = [python, "-m", "pip", "install", "--quiet"]
    return _succeeds(create) and _succeeds([*install, *requirements], show=True)


def _succeeds(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    show: bool = False,
) -> bool:
    try:
        subprocess.run(  # noqa: S603  reason: an interpreter or uv found above
            command,
            check=True,
            timeout=INSTALL_TIMEOUT,
            env={**os.environ, **(environ or {})},
            stdout=subprocess.DEVNULL,
            stderr=None if show else subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _output(command: Sequence[str]) -> str:
    try:
        run = subprocess.run(  # noqa: S603  reason: uv, found above
            command, check=True, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()
