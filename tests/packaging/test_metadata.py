"""What the package index shows of the four distributions, read from their projects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import serverless_flags

tomllib = pytest.importorskip("tomllib", reason="added in Python 3.11")

ROOT = Path(__file__).parents[2]
CORE = ROOT / "pyproject.toml"
ADAPTERS = sorted(ROOT.glob("adapters/*/pyproject.toml"))
REPOSITORY = "https://github.com/serverless-flags/serverless-flags"
FILE = re.compile(rf"{REPOSITORY}/(?:blob|tree)/main/([^)#\s\"]+)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def project(path: Path) -> dict[str, Any]:
    """Return the table ``[project]`` of a distribution."""
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"]


@pytest.fixture(name="core")
def _core() -> dict[str, Any]:
    return project(CORE)


@pytest.fixture(name="adapter", params=ADAPTERS, ids=lambda path: path.parent.name)
def _adapter(request: pytest.FixtureRequest) -> dict[str, Any]:
    return project(request.param)


def test_the_version_is_that_of_the_module_and_the_changelog(core):
    """A release raises it in each place."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([^\]]+)\]", changes, re.MULTILINE)

    assert core["version"] == serverless_flags.__version__
    assert core["version"] == versions[0]


def test_an_adapter_has_the_version_of_the_core(core, adapter):
    """It is released with the core, and installs with no other one."""
    assert core["version"] == adapter["version"]
    assert adapter["dependencies"] == [f"serverless-flags=={core['version']}"]


def test_an_adapter_is_described_as_the_core_is(core, adapter):
    """The same URLs, classifiers, licence and Python versions; keywords of its own."""
    same = ["urls", "classifiers", "license", "license-files", "requires-python"]

    assert [core[key] for key in same] == [adapter[key] for key in same]
    assert "unleash" in adapter["keywords"]


def test_each_python_of_the_matrix_is_classified(core):
    """The versions that tox runs are those that the package index shows."""
    prefix = "Programming Language :: Python :: 3."
    classified = [
        name.removeprefix(prefix)
        for name in core["classifiers"]
        if name.startswith(prefix)
    ]
    matrix = re.search(r"product = \[\s+\[([^\]]+)\]", CORE.read_text(encoding="utf-8"))

    assert matrix is not None
    assert re.findall(r"3\.(\d+)", matrix[1]) == classified


def test_the_urls_lead_into_this_repository(core):
    """To its pages, issues and files, which are there."""
    names = {"Homepage", "Documentation", "Source", "Issues", "Changelog"}

    assert names == set(core["urls"])
    for url in core["urls"].values():
        assert url.startswith(REPOSITORY)
        assert all((ROOT / path).exists() for path in FILE.findall(url))


@pytest.mark.parametrize(
    "path", [CORE, *ADAPTERS], ids=["core", *(path.parent.name for path in ADAPTERS)]
)
def test_links_of_a_readme_work_on_the_package_index(path):
    """Each is absolute, or leads to a heading of the same page; its file is there."""
    text = (path.parent / "README.md").read_text(encoding="utf-8")
    relative = [
        link for link in LINK.findall(text) if not link.startswith(("http", "#"))
    ]

    assert [] == relative
    assert [] == [name for name in FILE.findall(text) if not (ROOT / name).exists()]
