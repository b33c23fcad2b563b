"""A fallback has the same result with a flag client and without one."""

from __future__ import annotations

import pytest

from serverless_flags import _passing as passing_module
from serverless_flags._log import ProblemLog
from serverless_flags.clients import _fallback
from serverless_flags.clients._fallback import fallback_answer

KNOWN = {"appName": "checkout", "environment": "default"}


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    """Begin with a process that has logged nothing."""
    monkeypatch.setattr(_fallback, "_problem_log", ProblemLog())


class OvertimeError(Exception):
    pass


def overtime(*_arguments):
    raise OvertimeError


def test_it_gets_the_arguments_that_a_client_passes(new_client) -> None:
    """The name and the enriched context."""
    seen = []

    def fallback(name, context):
        del context["currentTime"]
        seen.append((name, context))
        return "yes"

    given = {"userId": 7, "plan": "pro"}
    answers = [
        new_client().is_enabled("flag", given, fallback),
        fallback_answer("flag", given, fallback, KNOWN),
    ]

    assert [True, True] == answers
    assert seen[0] == seen[1]
    assert "checkout" == seen[1][1]["appName"]


@pytest.mark.parametrize("fallback", [None, True, lambda *_: 0, lambda *_: 1 / 0])
def test_without_a_result_the_flag_is_off(fallback) -> None:
    """None, an object that is not callable, and a function that fails."""
    assert fallback_answer("flag", None, fallback, KNOWN) is False


def test_a_failure_is_logged_once(caplog) -> None:
    """With its traceback; the function continues."""
    for _ in range(2):
        fallback_answer("flag", None, lambda *_: 1 / 0, KNOWN)

    assert 1 == len(caplog.records)
    assert "'flag'" in caplog.messages[0]
    assert ZeroDivisionError is caplog.records[0].exc_info[0]


def test_an_odd_context_is_read_as_by_a_client(caplog) -> None:
    """Unreadable parts are left out, with a warning."""
    pairs = [("userId", "7"), ("properties", None)]

    assert fallback_answer("flag", pairs, lambda _, it: it["userId"] == "7", KNOWN)
    assert 1 == len(caplog.messages)


def test_a_runtimes_exceptions_propagate(monkeypatch) -> None:
    """Such as a runtime's timeout."""
    name = f"{__name__}.OvertimeError"
    monkeypatch.setattr(passing_module, "_names", frozenset({name}))
    with pytest.raises(OvertimeError):
        fallback_answer("flag", None, overtime, KNOWN)
