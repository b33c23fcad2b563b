"""The problem log: each problem is logged once, and its end once."""

from __future__ import annotations

import logging

import pytest

from serverless_flags._log import ProblemLog


@pytest.fixture(name="said")
def _said(caplog):
    """Return a function that returns the messages since its last call."""
    caplog.set_level(logging.DEBUG, logger="serverless_flags")

    def look():
        records = [(r.levelname, r.getMessage()) for r in caplog.records]
        caplog.clear()
        return records

    return look


def test_a_problem_is_logged_once(said) -> None:
    """While it lasts, repetitions are logged at level DEBUG only."""
    problem_log = ProblemLog()
    for number in range(3):
        problem_log.warn("disk", "full: %s", number)

    assert [
        ("WARNING", "full: 0"),
        ("DEBUG", "full: 1"),
        ("DEBUG", "full: 2"),
    ] == said()


def test_the_end_of_a_problem_is_logged_once(said) -> None:
    """Only if its beginning was logged; then it may begin again."""
    problem_log = ProblemLog()
    problem_log.resolved("disk", "free again")
    problem_log.warn("disk", "full")
    problem_log.resolved("disk", "free again: %s", 7)
    problem_log.resolved("disk", "free again: %s", 8)
    problem_log.warn("disk", "full")

    assert [
        ("WARNING", "full"),
        ("INFO", "free again: 7"),
        ("WARNING", "full"),
    ] == said()


def test_problems_are_separate(said) -> None:
    """One kind does not hide another, nor one session's those of another."""
    one, other = ProblemLog(), ProblemLog()
    one.warn("disk", "a")
    one.warn("net", "b")
    other.warn("disk", "c")

    assert [("WARNING", "a"), ("WARNING", "b"), ("WARNING", "c")] == said()


def test_a_problem_may_have_a_traceback(caplog) -> None:
    """Inside an exception handler the log may show the exception."""
    try:
        raise OSError("no")  # noqa: TRY301  reason: any exception will do
    except OSError:
        ProblemLog().warn("disk", "full", exc_info=True)

    assert caplog.records[0].exc_info[0] is OSError
