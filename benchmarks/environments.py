"""
Virtual environments that have what one function would ship, and nothing else.

Other packages would change the measurements, because the discovery of adapters reads
the names of all distributions. uv builds the environments from wheels, in the folder
``.benchmarks/`` of the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILT = ROOT / ".benchmarks"

CORE = str(ROOT)
AWS = str(ROOT / "adapters" / "aws_lambda")
GCP = str(ROOT / "adapters" / "gcp_cloud_functions")
AZURE = str(ROOT / "adapters" / "azure_functions")


def environment(
    name: str, packages: Sequence[str], *, bytecode: bool = True, python: str = "3.11"
) -> Path:
    """
    Return the Python of an environment with ``packages``, built anew.

    Args:
        name: its folder.
        packages: requirements, or folders of this checkout.
        bytecode: whether the packages have ``.pyc`` files, as after a build that
            compiles; the interpreter's own modules always have.
        python: the interpreter's version.
    """
    folder = BUILT / name
    interpreter = folder / "bin" / "python"
    _uv("venv", "--clear", "--quiet", "--python", python, str(folder))
    local = [f"--reinstall-package={_distribution(p)}" for p in packages if "/" in p]
    compiled = ["--compile-bytecode"] if bytecode else []
    _uv(
        "pip", "install", "--quiet", "--no-sources", "--link-mode=copy",
        *compiled, *local, "--python", str(interpreter), *packages,
    )  # fmt: skip
    if not bytecode:
        for cache in folder.rglob("__pycache__"):
            shutil.rmtree(cache)
    return interpreter


def _distribution(package: str) -> str:
    folder = Path(package.split("[", 1)[0])
    if folder.parent.name != "adapters":
        return "serverless-flags"
    return "serverless-flags-" + folder.name.replace("_", "-")


def _uv(*arguments: str) -> None:
    hidden = {n: v for n, v in os.environ.items() if not n.startswith("UV_INTERNAL__")}
    hidden.pop("VIRTUAL_ENV", None)
    subprocess.run(
        [sys.executable, "-m", "uv", *arguments], check=True, env=hidden, cwd=ROOT
    )
