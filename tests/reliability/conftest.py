"""Lives take a minute and need all adapters, so they run only when named by path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests out unless their path is given."""
    given = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    asked_for = any(path.is_relative_to(HERE) for path in given)
    return None if asked_for else True
