"""What would be published is complete, carries nothing else, and can be built again."""

from __future__ import annotations

import email
import hashlib
import re
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from distributions import PROJECTS, ROOT, Project, run

if TYPE_CHECKING:
    from email.message import Message

NEEDED = {
    "serverless-flags": {"pluggy", "unleashclient", "yggdrasil-engine"},
    "serverless-flags-aws-lambda": {"serverless-flags"},
    "serverless-flags-azure-functions": {"serverless-flags"},
    "serverless-flags-gcp-cloud-functions": {"serverless-flags"},
}
"""What each brings into a function; emulators and tools are extras."""


def each_project(test):
    """Run a test once for each distribution."""
    return pytest.mark.parametrize(
        "project", PROJECTS, ids=lambda project: project.name
    )(test)


def wheel_of(dist: Path, project: Project) -> zipfile.ZipFile:
    """Open the only wheel of a distribution."""
    (path,) = (dist / project.name).glob("*.whl")
    return zipfile.ZipFile(path)


def sources(project: Project) -> set[str]:
    """Return the files that a package's wheel has to hold, as they are named there."""
    files = [path for path in project.package.rglob("*.py") if path.is_file()]
    files.append(project.package / "py.typed")
    return {path.relative_to(project.package.parent).as_posix() for path in files}


def metadata(wheel: zipfile.ZipFile) -> Message:
    """Return what the package index will show."""
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    return email.message_from_string(wheel.read(name).decode())


def digests(dist: Path) -> dict[str, str]:
    """Return a hash of each file that would be published."""
    paths = [*dist.glob("*/*.whl"), *dist.glob("*/*.tar.gz")]
    return {
        path.relative_to(dist).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def test_two_builds_are_the_same(dist, again):
    """Byte by byte, from files of another age, in another folder and time zone."""
    assert len(digests(dist)) == 2 * len(PROJECTS)
    assert digests(dist) == digests(again)


def test_the_package_index_would_take_them(dist):
    """Their metadata is valid, and their READMEs can be rendered."""
    paths = [dist / name for name in digests(dist)]

    run("twine", "check", "--strict", *paths)


@each_project
def test_a_wheel_holds_its_package_alone(dist, project):
    """All of its modules and ``py.typed``: no test, no data, no cache."""
    with wheel_of(dist, project) as wheel:
        names = set(wheel.namelist())

    assert sources(project) == {name for name in names if ".dist-info/" not in name}
    assert not [name for name in names if "tests" in Path(name).parts]


@each_project
def test_a_wheel_has_the_licence(dist, project):
    """The one at the root of the repository."""
    with wheel_of(dist, project) as wheel:
        names = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
        texts = [wheel.read(name) for name in names]

    assert [(ROOT / "LICENSE").read_bytes()] == texts


@each_project
def test_a_function_gets_no_tool_of_a_laptop(dist, project):
    """Without an extra nothing is installed but what production needs."""
    with wheel_of(dist, project) as wheel:
        required = metadata(wheel).get_all("Requires-Dist") or []
    names = [
        re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line
    ]

    assert NEEDED[project.name] == set(names)


@each_project
def test_an_sdist_holds_what_its_wheel_is_built_from(dist, project):
    """The package, its licence and README, and no tests that could not run there."""
    (path,) = (dist / project.name).glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    prefix = "" if project.folder == ROOT else "src/"
    expected = {prefix + name for name in sources(project)}
    expected |= {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}

    assert names - {"CHANGELOG.md"} == expected
