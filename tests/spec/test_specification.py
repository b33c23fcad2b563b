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


def test_no_case_is_left_out(whole) -> None:
    """All cases of the specification are run."""
    assert {False: 227, True: 52} == Counter(case.variant for case in whole)
    assert 22 == len({case.file for case in whole})


def test_the_result_is_the_specifications(open_session, client, case) -> None:
    """The session starts from a snapshot file with the state of the case."""
    if isinstance(case, MissingError):
        pytest.fail(str(case))
    session = open_session(client, case.state)
    ask = session.get_variant if case.variant else session.is_enabled

    assert case.expected == ask(case.flag, case.context)
    assert (State.READY, "snapshot") == (session.status.state, session.status.source)
