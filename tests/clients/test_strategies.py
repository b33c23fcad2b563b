"""Which custom strategies are taken, and what is said of the others."""

from __future__ import annotations

import functools

import pytest

from serverless_flags import ConfigurationError
from serverless_flags._foreign import let_pass
from serverless_flags.clients._strategies import check_strategies


class Good:
    def apply(self, parameters, context):
        return True


class Static:
    @staticmethod
    def apply(parameters, context):
        return True


class Default:
    def apply(self, parameters, context=None):
        return True


class Old:
    def apply(self, context=None):
        return True


class KeywordOnly:
    def apply(self, parameters, *, context):
        return True


class Asynchronous:
    async def apply(self, parameters, context):
        return True


class NoMethod:
    apply = True


class Evasive:
    @property
    def apply(self):
        raise RuntimeError


class OvertimeError(Exception):
    pass


class Interrupted:
    @property
    def apply(self):
        raise OvertimeError


@pytest.mark.parametrize(
    "strategy", [Good(), Static(), Static, Default(), functools.partial(Good)()]
)
def test_what_the_engine_can_call_is_taken(strategy) -> None:
    """An object whose `apply` takes parameters and context."""
    check_strategies({"mine": strategy})


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (Old(), r"has apply\(context=None\), as older clients did"),
        (KeywordOnly(), r"has apply\(parameters, \*, context\)"),
        (Good, r"is a class; give an instance: Good\(\)"),
        (Asynchronous(), "has an async apply; an evaluation cannot await"),
        (NoMethod(), "has no apply method"),
        (len, "has no apply method"),
        (None, "has no apply method"),
        (Evasive(), r"cannot be looked at \(RuntimeError\)"),
    ],
)
def test_what_it_cannot_call_is_refused_with_the_cure(strategy, why) -> None:
    """The error names the strategy too, whichever it is of several."""
    with pytest.raises(ConfigurationError, match=f"custom strategy 'mine' {why}"):
        check_strategies({"good": Good(), "mine": strategy})


def test_a_name_is_a_text() -> None:
    """It is the one that Unleash shows."""
    with pytest.raises(ConfigurationError, match="must have a text as its name"):
        check_strategies({7: Good()})


def test_an_exception_that_always_passes_passes(monkeypatch) -> None:
    """As a runtime's timeout that arrives while a strategy is looked at."""
    monkeypatch.setattr("serverless_flags._foreign._names", frozenset())
    let_pass([f"{__name__}.OvertimeError"])
    with pytest.raises(OvertimeError):
        check_strategies({"mine": Interrupted()})
