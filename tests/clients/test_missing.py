"""An incomplete bundle is explained in one line, with what to change."""

from __future__ import annotations

import errno
import importlib.abc
import importlib.metadata
import sys

import pytest

from serverless_flags import MissingDependencyError
from serverless_flags._settings import load_settings
from serverless_flags.clients import _engine as engine_module
from serverless_flags.clients import _missing, open_backend

HEADER = "/var/task/yggdrasil_engine/lib/libyggdrasilffi.so: invalid ELF header"
OTHER_MACHINE = [
    OSError("libyggdrasilffi.so: cannot open shared object file: No such file"),
    OSError(HEADER),
    OSError("dlopen(x.dylib): tried: 'x.dylib' (mach-o file, but is an incompatible"),
    ImportError("_cffi.so: wrong ELF class: ELFCLASS32"),
    ImportError("DLL load failed while importing x: not a valid Win32 application"),
    OSError(errno.ENOEXEC, "Exec format error"),
]


class Breaks(importlib.abc.MetaPathFinder):
    """Raises when a module is imported, as in a broken bundle."""

    def __init__(self, name: str, error: Exception) -> None:
        self._name, self._error = name, error

    def find_spec(self, name, path=None, target=None):
        if name == self._name:
            raise self._error


@pytest.fixture(name="load")
def _load(monkeypatch):
    """Return a function that loads a client while an import fails."""

    def load(client, module, error):
        for name in [*sys.modules]:
            if name.partition(".")[0] in {"yggdrasil_engine", "UnleashClient"}:
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Breaks(module, error), *sys.meta_path])
        chosen = load_settings({"client": client}, {})
        return open_backend(chosen, "checkout").load()

    return load


@pytest.mark.parametrize("client", ["unleash", "lean"])
@pytest.mark.parametrize("error", OTHER_MACHINE)
def test_a_bundle_for_another_platform(load, client, error) -> None:
    """The message names this platform, and how to install for it."""
    with pytest.raises(MissingDependencyError) as raised:
        load(client, "yggdrasil_engine", error)
    said = str(raised.value)

    assert "built for another platform or architecture" in said
    assert sys.platform in said
    assert "pip install --platform" in said
    assert "\n" not in said
    assert error is raised.value.__cause__


def test_a_missing_library(monkeypatch) -> None:
    """As in a bundle for another system, whose library has another name."""
    monkeypatch.setattr(engine_module, "_opened", [])
    monkeypatch.setattr("ctypes.CDLL", _no_library)
    monkeypatch.setattr("sys.platform", "linux")
    chosen = load_settings({"client": "lean"}, {})
    with pytest.raises(MissingDependencyError, match="another platform"):
        open_backend(chosen, "checkout").load()


def _no_library(path):
    raise OSError(HEADER)


def test_a_platform_without_uname(monkeypatch) -> None:
    """As on Windows."""
    monkeypatch.delattr("os.uname")

    assert "on this machine" in str(_missing.explained(OSError("x")))


def test_pruned_metadata(load) -> None:
    """The message names the distribution and the folder to keep."""
    error = importlib.metadata.PackageNotFoundError("UnleashClient")
    with pytest.raises(MissingDependencyError, match="dist-info") as raised:
        load("unleash", "UnleashClient", error)

    assert "metadata of UnleashClient" in str(raised.value)
    assert "lean" in str(raised.value)


@pytest.mark.parametrize("module", ["UnleashClient", "requests"])
def test_a_missing_module(load, module, monkeypatch) -> None:
    """The message names the module, and the client that does not need it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    with pytest.raises(MissingDependencyError, match="client='lean'") as raised:
        load("unleash", module, error)

    assert f"No module named '{module}'" in str(raised.value)
    assert module == raised.value.name


@pytest.mark.parametrize(
    "error",
    [ImportError("cannot import name 'x' from 'self'"), OSError(errno.EMFILE, "x")],
)
def test_any_other_import_error(load, error) -> None:
    """The message has the cause."""
    with pytest.raises(MissingDependencyError, match="cannot be imported") as raised:
        load("lean", "yggdrasil_engine", error)

    assert type(error).__name__ in str(raised.value)
