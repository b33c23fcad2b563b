"""The tree of errors is the one that its module draws."""

from __future__ import annotations

import inspect
import re

import pytest

from serverless_flags import exceptions

ERRORS = [
    error
    for _, error in inspect.getmembers(exceptions, inspect.isclass)
    if error.__module__ == exceptions.__name__
]


def test_the_tree_is_drawn() -> None:
    """Nobody has to read the classes to see what catches what."""
    drawn = re.findall(r"── (\w+)", exceptions.__doc__)

    assert {error.__name__ for error in ERRORS} == set(drawn)


@pytest.mark.parametrize("error", ERRORS)
def test_one_base_catches_all(error) -> None:
    """Each error ends in Error and says when it is raised."""
    assert issubclass(error, exceptions.ServerlessFlagsError)
    assert error.__name__.endswith("Error")
    assert error.__doc__.startswith(("Raised when", "Base of"))


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (exceptions.ConfigurationError, ValueError),
        (exceptions.MissingDependencyError, ImportError),
    ],
)
def test_some_are_what_python_calls_them(error, also) -> None:
    """Code that knows only Python's errors catches them too."""
    with pytest.raises(also, match="why"):
        raise error("why")
    assert f"{error.__name__} also a" in re.sub(" +", " ", exceptions.__doc__)
    assert also.__name__ in exceptions.__doc__
