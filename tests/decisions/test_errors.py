"""The hierarchy of exceptions is the one in the docstring of its module."""

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


def test_the_hierarchy_is_documented() -> None:
    """The module's docstring shows each exception below its base class."""
    drawn = re.findall(r"── (\w+)", exceptions.__doc__)

    assert {error.__name__ for error in ERRORS} == set(drawn)


@pytest.mark.parametrize("error", ERRORS)
def test_one_base_class_covers_all(error) -> None:
    """Each name ends in Error, and each docstring says when it is raised."""
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
def test_some_derive_from_built_in_exceptions(error, also) -> None:
    """Code that handles only Python's own exceptions catches them too."""
    with pytest.raises(also, match="why"):
        raise error("why")
    assert f"{error.__name__} also a" in re.sub(" +", " ", exceptions.__doc__)
    assert also.__name__ in exceptions.__doc__
