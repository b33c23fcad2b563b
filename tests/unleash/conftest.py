"""One real Unleash server for all tests of the session, which must ask for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import UnleashServer

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests out unless their path is given: they install a server."""
    given = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    asked_for = any(path.is_relative_to(HERE) for path in given)
    return None if asked_for else True


@pytest.fixture(name="unleash", scope="session")
def _unleash() -> Iterator[UnleashServer]:
    from server import unleash_server

    with unleash_server() as server:
        yield server


@pytest.fixture(name="examples", scope="session")
def _examples() -> Path:
    return ROOT / "examples"
