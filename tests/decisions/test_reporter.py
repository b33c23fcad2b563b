"""What is said in the log: each trouble once, and when it is over."""

from __future__ import annotations

import logging

import pytest

from serverless_flags._log import ProblemLog


@pytest.fixture(name="said")
def _said(caplog):
    """Return what tells what was said since the last look."""
    caplog.set_level(logging.DEBUG, logger="serverless_flags")

    def look():
        records = [(r.levelname, r.getMessage()) for r in caplog.records]
        caplog.clear()
        return records

    return look


def test_a_trouble_is_told_once(said) -> None:
    """As long as it lasts, only who debugs hears of it again."""
    problem_log = ProblemLog()
    for number in range(3):
        problem_log.warn("disk", "full: %s", number)

    assert [
        ("WARNING", "full: 0"),
        ("DEBUG", "full: 1"),
        ("DEBUG", "full: 2"),
    ] == said()


def test_the_end_of_a_trouble_is_told_once(said) -> None:
    """And only if its beginning was; then it may begin again."""
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


def test_troubles_are_told_apart(said) -> None:
    """One does not hide another, nor do two sessions hide each other's."""
    one, other = ProblemLog(), ProblemLog()
    one.warn("disk", "a")
    one.warn("net", "b")
    other.warn("disk", "c")

    assert [("WARNING", "a"), ("WARNING", "b"), ("WARNING", "c")] == said()


def test_a_trouble_may_bring_its_traceback(caplog) -> None:
    """Where an exception is handled, the log may show it."""
    try:
        raise OSError("no")  # noqa: TRY301  reason: any exception will do
    except OSError:
        ProblemLog().warn("disk", "full", exc_info=True)

    assert caplog.records[0].exc_info[0] is OSError
