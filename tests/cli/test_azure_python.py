"""How the demo finds, or installs, a Python for Azure's runtime."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from serverless_flags.cli import _azure_python
from serverless_flags.cli._azure_python import azure_python

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = """#!/bin/sh
echo "python $*" >> {log}
if [ "$2" = venv ]; then
    /bin/mkdir -p "$4/bin" && /bin/cp "$0" "$4/bin/python"
fi
"""

UV = """#!/bin/sh
echo "uv $*" >> {log}
case "$1 $2" in
    "python find") [ -f {python} ] && echo {python} ;;
    "python install") echo "{script}" > {python} && /bin/chmod +x {python} ;;
esac
"""


class Machine:
    """A machine whose programs log how they were called."""

    def __init__(self, directory: Path) -> None:
        self.programs = directory / "programs"
        self.programs.mkdir()
        self.checkout = directory / "checkout"
        self.cache = directory / "cache"
        self.log = directory / "log"
        self.log.touch()

    def install(self, path: Path, script: str) -> None:
        """Write an executable shell script."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def install_python(self, path: Path) -> str:
        """Write a Python that can create environments, and return its path."""
        self.install(path, PYTHON.format(log=self.log))
        return str(path)

    def install_uv(self, python: Path) -> None:
        """Write a uv that finds ``python``, and can install it."""
        script = PYTHON.format(log=self.log).replace('"', '\\"').replace("$", "\\$")
        uv = UV.format(log=self.log, python=python, script=script)
        self.install(self.programs / "uv", uv)

    def make_checkout(self) -> None:
        """Create the files by which a checkout is recognised."""
        adapter = self.checkout / "adapters" / "azure_functions"
        adapter.mkdir(parents=True)
        (adapter / "pyproject.toml").touch()

    @property
    def calls(self) -> str:
        """How the programs were called, one call per line."""
        return self.log.read_text()


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(_azure_python, "NEEDED", (99, 0))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(machine.programs))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.cache))
    return machine


def test_this_python_is_new_enough(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python for which Azure's runtime has wheels is used as it is."""
    monkeypatch.setattr(_azure_python, "NEEDED", (3, 0))

    assert azure_python(machine.checkout) == sys.executable
    assert machine.calls == ""


def test_no_other_python(machine: Machine) -> None:
    """Without a newer Python, this one is used, with azure-functions 1.x."""
    assert azure_python(machine.checkout) == sys.executable


def test_uv_and_a_checkout(machine: Machine, tmp_path: Path) -> None:
    """With uv, an environment in the checkout gets the packages of the checkout."""
    machine.make_checkout()
    machine.install_python(tmp_path / "found" / "python3.13")
    machine.install_uv(tmp_path / "found" / "python3.13")
    environment = machine.checkout / ".venv-azure_functions"

    assert azure_python(machine.checkout) == str(environment / "bin" / "python")
    assert f"--python {tmp_path}/found/python3.13 {environment}" in machine.calls
    assert f"-e {machine.checkout} -e {machine.checkout}/adapters" in machine.calls
    assert "azure_functions[emulator]" in machine.calls


@pytest.mark.parametrize("place", ["programs", "pyenv/versions/3.13.0/bin"])
def test_pip_and_the_released_package(
    machine: Machine, tmp_path: Path, place: str
) -> None:
    """Without uv and a checkout, a cached environment gets the released packages."""
    machine.install_python(tmp_path / place / "python3.13")
    release = version("serverless-flags")
    environment = machine.cache / "serverless-flags" / f"azure_functions-{release}"

    assert azure_python(machine.checkout) == str(environment / "bin" / "python")
    assert (
        f"python -m pip install --quiet serverless-flags=={release} "
        "serverless-flags-azure-functions[emulator]\n"
    ) in machine.calls


def test_environment_is_created_once(machine: Machine, tmp_path: Path) -> None:
    """A complete environment is used again, without calling uv."""
    machine.make_checkout()
    python = machine.checkout / ".venv-azure_functions" / "bin" / "python"
    machine.install_python(python)
    machine.install_uv(tmp_path / "python3.13")

    assert azure_python(machine.checkout) == str(python)
    assert machine.calls.startswith("python -c")
    assert "uv" not in machine.calls


def test_uv_installs_a_python(machine: Machine, tmp_path: Path) -> None:
    """If no newer Python is found, uv installs one."""
    machine.install_uv(tmp_path / "python3.13")

    assert azure_python(machine.checkout) != sys.executable
    assert "uv python install 3.13\n" in machine.calls


def test_failed_install(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """If the environment cannot be created, this Python is used, with a message."""
    machine.install(
        machine.programs / "python3.13", '#!/bin/sh\n[ "$1" = -c ] && exit 0\nexit 1'
    )

    assert azure_python(machine.checkout) == sys.executable
    assert "azure-functions 1.x runs the function instead" in capsys.readouterr().err


def test_broken_programs_are_skipped(machine: Machine) -> None:
    """A python3.13 or a uv that cannot run, as pyenv's shims may be, is skipped."""
    for name in ("python3.13", "uv"):
        machine.install(machine.programs / name, "#!/bin/sh\nexit 127")

    assert azure_python(machine.checkout) == sys.executable
