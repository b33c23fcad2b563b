"""Unleash's client specification holds for both clients of Unleash."""

from __future__ import annotations

from collections import Counter

import pytest
from specification import MissingError, cases

from serverless_flags import State


@pytest.fixture(name="whole")
def _whole():
    """Return all cases, or fail with what is missing."""
    try:
        return cases()
    except MissingError as error:
        pytest.fail(str(error))


def test_the_specification_is_whole(whole) -> None:
    """None of its questions is left out."""
    assert {False: 227, True: 52} == Counter(case.variant for case in whole)
    assert 22 == len({case.file for case in whole})


def test_the_answer_is_the_specifications(open_session, client, case) -> None:
    """Asked of a session that started from a snapshot file with the case's state."""
    if isinstance(case, MissingError):
        pytest.fail(str(case))
    session = open_session(client, case.state)
    ask = session.get_variant if case.variant else session.is_enabled

    assert case.expected == ask(case.flag, case.context)
    assert (State.READY, "snapshot") == (session.status.state, session.status.source)
