"""A request past its deadline is found; a frozen instance does not count as one."""

from __future__ import annotations

import dataclasses

import pytest
from plan import Plan
from record import Call, Record
from verdict import judge

from serverless_flags.testing import Exit
from serverless_flags.testing.faults import Exchange, Fault

PLAN = Plan("seed", "azure_functions", "function", {}, "unleash", False, None, None)


def get(fault, ended):
    return Exchange("GET", "/api/client/features", b"", 1.0, fault, ended=ended)


@pytest.fixture(name="record")
def _record():
    """Return a record of invocations up to the tenth second, three in parallel."""
    asked = [(1.0, 1.2), (1.1, 2.0), (5.0, 5.1), (5.1, 5.5), (9.9, 10.0)]
    calls = [Call(*times, "0", False) for times in asked]
    return Record(PLAN, calls=calls, exit=Exit(0, 0.1, killed=False))


@pytest.mark.parametrize(
    ("fault", "ended", "freezes", "wrong"),
    [
        pytest.param(Fault.ENDLESS_CHUNKS, 2.1, [], [], id="ended"),
        pytest.param(Fault.ENDLESS_CHUNKS, 3.1, [], [(1.0, 3.1)], id="not in time"),
        pytest.param(Fault.ENDLESS_INTERIM, None, [], [(1.0, None)], id="never"),
        pytest.param(Fault.ENDLESS_CHUNKS, 3.1, [(1.5, 2.0)], [], id="frozen"),
        pytest.param(Fault.UNHEARD, 9.0, [], [], id="held by the server"),
    ],
)
def test_a_request_without_end(record, fault, ended, freezes, wrong):
    """It ends at most a second after its deadline, frozen times left out."""
    record.exchanges, record.freezes = [get(fault, ended)], freezes
    found = judge(record).wrong

    assert ["a request had no end"] * len(wrong) == found


def test_the_last_flush(record):
    """Its deadline is the platform's grace."""
    begun_late = dataclasses.replace(get(Fault.ENDLESS_TRAILERS, 14.0), began=10.1)
    record.exchanges = [begun_late]

    assert [] == judge(record).wrong
    record.calls.append(Call(10.0, 14.0, "0", busy=True))
    assert [] == judge(record).wrong


@pytest.mark.parametrize(("at", "wrong"), [(2.0, 0), (4.0, 1)])
def test_a_child(record, at, wrong):
    """A child keeps the connections of its parent open, and reads nothing."""
    record.exchanges = [get(Fault.ENDLESS_HEADERS, 3.5)]
    record.ledger = [{"kind": "note", "pid": pid, "at": at} for pid in (1, 2)]

    assert wrong == len(judge(record).wrong)


@pytest.mark.parametrize(("until", "wrong"), [(5.5, 0), (7.5, 1)])
def test_an_instance_that_is_frozen_when_idle(record, until, wrong):
    """Only the time of its invocations counts, and that of parallel ones once."""
    record.plan = dataclasses.replace(PLAN, platform="aws_lambda")
    record.calls[3] = Call(5.1, until, "0", False)
    record.exchanges = [get(Fault.ENDLESS_HEADERS, 9.0)]

    assert wrong == len(judge(record).wrong)
