"""The example passes the contract of every adapter; test your own in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serverless_flags.testing import AdapterContract, ContainerEmulator

if TYPE_CHECKING:
    from collections.abc import Mapping

FUNCTION = Path(__file__).parent / "contract_function.py"


class Revision(ContainerEmulator):
    """A container of a Knative revision, with a server of the standard library."""

    def command(self) -> list[str]:
        return [self.python, "server.py", self.module_path.stem, self.function]

    def variables(self) -> dict[str, str]:
        return {"K_SERVICE": "hello", "K_REVISION": "hello-00001"}


class TestContract(AdapterContract):
    platform = "knative"
    environ = {"K_SERVICE": "hello"}
    target = f"{FUNCTION}:function"

    @pytest.fixture(autouse=True)
    def _installed(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site))

    def emulator(self, environ: Mapping[str, str]) -> Revision:
        return Revision(self.target, environ=environ)
