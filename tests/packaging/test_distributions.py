"""What each distribution carries, and what the files beside them tell a newcomer."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path

import pytest

from serverless_flags.testing.flag_server import DEFAULT_TOKEN

ROOT = Path(__file__).parents[2]
ADAPTERS = [path.parent for path in sorted(ROOT.glob("adapters/*/pyproject.toml"))]


@pytest.mark.parametrize("folder", ADAPTERS, ids=lambda folder: folder.name)
def test_each_adapter_has_the_licence(folder: Path) -> None:
    """The same as the core's, in its folder and so in its wheel."""
    project = (folder / "pyproject.toml").read_text()

    assert (ROOT / "LICENSE").read_bytes() == (folder / "LICENSE").read_bytes()
    assert 'license-files = ["LICENSE"]' in project


@pytest.mark.parametrize(
    "name",
    ["serverless-flags", *(f"serverless-flags-{path.name}" for path in ADAPTERS)],
)
def test_each_installed_distribution_has_its_licence(name: str) -> None:
    """Apache-2.0 asks for a copy with each."""
    try:
        files = importlib.metadata.distribution(name.replace("_", "-")).files or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(reason=f"{name} is not installed")

    assert ["LICENSE"] == [path.name for path in files if path.name == "LICENSE"]


def test_the_example_settings_of_azure_fit_the_embedded_server() -> None:
    """Copied as they are, they work with ``serverless-flags serve``."""
    example = ROOT / "examples" / "azure_functions" / "local.settings.json.example"
    values = json.loads(example.read_text())["Values"]

    assert DEFAULT_TOKEN == values["UNLEASH_API_TOKEN"]
    assert "http://localhost:4242/api" == values["UNLEASH_URL"]


def test_the_commands_of_contributing_need_pip_alone() -> None:
    """uv is installed by the first of them, and perhaps not on the path."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    commands = re.findall(r"^\$ (\S+)", text, re.MULTILINE)

    assert {"bash", "python3"} == set(commands)
    assert "`tox " not in text
