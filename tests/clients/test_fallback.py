"""A fallback answers the same with a flag client and without one."""

from __future__ import annotations

import pytest

from serverless_flags import _passing as passing_module
from serverless_flags._log import ProblemLog
from serverless_flags.clients import _fallback
from serverless_flags.clients._fallback import fallback_answer

KNOWN = {"appName": "checkout", "environment": "default"}


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    """Begin with a process that has warned of nothing."""
    monkeypatch.setattr(_fallback, "_problem_log", ProblemLog())


class OvertimeError(Exception):
    pass


def overtime(*_arguments):
    raise OvertimeError


def test_it_is_given_what_a_client_gives(new_client) -> None:
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
def test_without_an_answer_the_flag_is_off(fallback) -> None:
    """None, what cannot be called, and what fails."""
    assert fallback_answer("flag", None, fallback, KNOWN) is False


def test_a_fault_is_logged_once(caplog) -> None:
    """With its traceback; the function goes on."""
    for _ in range(2):
        fallback_answer("flag", None, lambda *_: 1 / 0, KNOWN)

    assert 1 == len(caplog.records)
    assert "'flag'" in caplog.messages[0]
    assert ZeroDivisionError is caplog.records[0].exc_info[0]


def test_an_odd_context_is_read_as_a_client_reads_it(caplog) -> None:
    """What nobody can read is left out, with a warning."""
    pairs = [("userId", "7"), ("properties", None)]

    assert fallback_answer("flag", pairs, lambda _, it: it["userId"] == "7", KNOWN)
    assert 1 == len(caplog.messages)


def test_exceptions_that_always_pass_pass(monkeypatch) -> None:
    """As a runtime's timeout."""
    name = f"{__name__}.OvertimeError"
    monkeypatch.setattr(passing_module, "_names", frozenset({name}))
    with pytest.raises(OvertimeError):
        fallback_answer("flag", None, overtime, KNOWN)
