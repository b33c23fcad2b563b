"""Fixtures for the error messages of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags import ConfigurationError
from serverless_flags._settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(name="raised", scope="session")
def _raised() -> Callable[..., str]:
    """Return a function that returns the message about a setting's value."""

    def raised(name: str, value: Any, variable: str | None = None) -> str:
        given = {name: value} if variable is None else {}
        environ = {} if variable is None else {variable: value}
        with pytest.raises(ConfigurationError) as caught:
            load_settings(given, environ)
        return str(caught.value)

    return raised
