"""Each broken promise in the record of a life is found."""

from __future__ import annotations

import dataclasses
import json

import pytest
from plan import LIMIT, Do, End, Plan, Step, draw
from record import Call, Record
from verdict import judge, judge_baseline

from serverless_flags.testing import Exit
from serverless_flags.testing.faults import Exchange, Fault

PLAN = Plan("seed", "aws_lambda", "function", {}, "unleash", False, None, None)


def post(evaluations, **fields):
    toggles = {"simpleFlag": {"yes": evaluations, "no": 0}}
    body = json.dumps({"bucket": {"toggles": toggles}}).encode()
    exchange = Exchange("POST", "/api/client/metrics", body, 5.0, Fault.NONE)
    return dataclasses.replace(exchange, **fields)


@pytest.fixture(name="record")
def _record():
    """Return a record: ten evaluations, one flip, a freeze, all counts sent."""
    ledger = [
        {"kind": kind, "pid": 1, "at": 1.0 + number}
        for number in range(10)
        for kind in ("question", "evaluation")
    ]
    ledger.append({"kind": "last words", "pid": 1, "uncounted": 0, "unknown": 0})
    get = Exchange("GET", "/api/client/features", b"", 1.0, Fault.NONE, status=200)
    return Record(
        PLAN,
        calls=[Call(1.0, 1.1, "0", False), Call(8.0, 8.1, "1", False)],
        flips=[0.0, 6.0],
        freezes=[(5.0, 7.0)],
        exchanges=[get, post(10, taken=True, status=202)],
        ledger=ledger,
        counted=10,
        exit=Exit(0, 0.1, killed=False),
    )


def test_a_good_life(record):
    """Nothing is wrong with it, and the evaluations that it proves are counted."""
    verdict = judge(record)

    assert [] == verdict.wrong
    assert (10, 10, 0) == (verdict.made, verdict.counted, verdict.silent)
    assert (2, 1, [0.0]) == (verdict.invocations, verdict.after_freeze, verdict.ages)


def test_a_silent_loss(record):
    """One count is missing, and the session reported no loss."""
    record.counted = 9

    assert ["evaluations were lost in silence"] == judge(record).wrong
    assert 1 == judge(record).silent


def test_a_count_too_many(record):
    """Counts that were sent twice show in the sum."""
    record.counted = 11

    assert "evaluations were counted twice" in judge(record).wrong


@pytest.mark.parametrize("reported", [{"unknown": 3}, {"uncounted": 3}])
def test_a_reported_loss(record, reported):
    """The session reported the number, and whether the outcome is unknown."""
    record.ledger[-1].update(reported)
    record.counted = 7
    verdict = judge(record)

    assert [] == verdict.wrong
    expected = (reported.get("unknown", 0), reported.get("uncounted", 0))
    assert expected == (verdict.unanswered, verdict.refused)


def test_an_unknown_count_that_arrived(record):
    """The server accepted it, but its answer did not arrive."""
    record.exchanges.append(post(4, taken=True, fault=Fault.GATEWAY))
    record.ledger[-1]["unknown"] = 4
    verdict = judge(record)

    assert [] == verdict.wrong
    assert 4 == verdict.doubted
    record.ledger[-1]["unknown"] = 3
    assert ["3 in doubt, not from 4 to 3"] == judge(record).wrong


def test_no_last_line(record):
    """Without a loss there is nothing to report; with one, a missing line is found."""
    record.ledger.pop()

    assert [] == judge(record).wrong
    record.counted = 9
    assert ["evaluations were lost in silence"] == judge(record).wrong


def test_an_evaluation_cut_by_the_end(record):
    """It may be counted although the function had no time to write it down."""
    record.ledger.insert(0, {"kind": "question", "pid": 1, "at": 9.0})
    record.counted = 11

    assert [] == judge(record).wrong


@pytest.mark.parametrize(
    ("counted", "wrong"),
    [
        (9, ["evaluations were lost in silence"]),
        (10, []),
        (11, []),
        (12, ["evaluations were counted twice"]),
    ],
)
def test_a_cut(record, counted, wrong):
    """An evaluation that was cut may be counted, once; all others are exact."""
    record.ledger += [
        {"kind": kind, "pid": 1, "at": 9.0} for kind in ("question", "cut")
    ]
    record.counted = counted
    verdict = judge(record)

    assert wrong == [what for what in verdict.wrong if "doubt" not in what]
    assert (1, 1) == (verdict.cuts, verdict.cut)


def test_evaluations_that_did_not_return(record):
    """Without a cut, at most one evaluation is unfinished when the process ends."""
    record.ledger += [{"kind": "question", "pid": 1, "at": 9.0}] * 2

    assert ["evaluations did not return"] == judge(record).wrong


def test_an_exception_of_the_runtime(record):
    """An exception raised in the session must propagate."""
    record.ledger.append({"kind": "swallowed", "pid": 1, "at": 9.0, "wrong": True})

    assert ["an exception of others was swallowed"] == judge(record).wrong


@pytest.mark.parametrize(("client", "silent"), [("unleash", 0), ("lean", 1)])
def test_an_exception_that_an_engine_catches(record, client, silent):
    """UnleashClient need not count that evaluation; the client `lean` must."""
    record.plan = dataclasses.replace(PLAN, client=client)
    record.ledger.append({"kind": "swallowed", "pid": 1, "at": 9.0, "wrong": False})
    record.counted = 9

    assert silent == judge(record).silent


def test_the_last_report_of_a_process(record):
    """Of two reports of a process the second counts; other processes have their own."""
    spoken = {"kind": "last words", "pid": 1, "at": 9.0, "uncounted": 3, "unknown": 0}
    record.ledger += [spoken, {**spoken, "uncounted": 0}, {**spoken, "pid": 2}]
    record.counted = 7

    assert [] == judge(record).wrong
    assert 3 == judge(record).refused


@pytest.mark.parametrize(("lost", "wrong"), [(2, 0), (3, 1)])
def test_a_kill(record, lost, wrong):
    """A kill costs the counts of the last flush interval, unless a fault interfered."""
    record.plan = dataclasses.replace(PLAN, end=End.KILL)
    record.ledger = record.ledger[:-1]
    record.calls.append(Call(10.0, 10.1, "1", False))
    record.ledger += [{"kind": "evaluation", "pid": 1, "at": 10.0}] * 1
    record.counted = 11 - lost
    verdict = judge(record)

    assert wrong == len(verdict.wrong)
    assert lost == verdict.killed
    busy = [Step(Do.FREEZE_BUSY, 1, 1.0)]
    record.plan = dataclasses.replace(record.plan, steps=busy)
    assert [] == judge(record).wrong


def test_a_kill_after_a_cut(record):
    """An invocation that was cut need not have begun the flush that was due."""
    record.plan = dataclasses.replace(PLAN, end=End.KILL)
    record.counted = 0

    assert ["a kill cost 10, not 3 at most"] == judge(record).wrong
    record.calls[1] = Call(8.0, 8.1, None, False)
    assert [] == judge(record).wrong


def test_old_flags(record):
    """Flags that were replaced longer before an invocation than the limit."""
    record.calls[1] = Call(6.0 + LIMIT + 0.1, 7.0, "0", False)

    assert ["flags were older than the limit"] == judge(record).wrong
    record.calls[1] = Call(6.0 + LIMIT - 0.1, 7.0, "0", False)
    assert [] == judge(record).wrong


def test_defaults(record):
    """There is no reason to serve defaults while the server works."""
    record.calls[1] = Call(8.0, 8.1, "disabled", False)

    assert ["defaults were served though the server was well"] == judge(record).wrong


@pytest.mark.parametrize(
    ("faults", "answered", "excused"),
    [
        pytest.param([(7.0, Fault.ERROR)], 8.1, True, id="failing"),
        pytest.param([(2.0, Fault.ERROR), (3.0, Fault.NONE)], 8.1, True, id="failed"),
        pytest.param([(0.0, Fault.ERROR), (0.5, Fault.NONE)], 8.1, False, id="before"),
        pytest.param([(7.0, Fault.INTERIM_LATE)], 8.1, False, id="interim"),
        pytest.param([(7.0, Fault.ENDLESS_INTERIM)], 8.1, True, id="endless"),
        pytest.param([], 9.0, True, id="slow"),
    ],
)
def test_what_excuses_old_flags(record, faults, answered, excused):
    """The server failed, or failed and was not asked since, or is too slow."""
    record.faults = faults
    record.calls[1] = Call(8.0, answered, "0", False)

    assert excused is not judge(record).stale


@pytest.mark.parametrize(
    ("asked_there", "excused"),
    [
        pytest.param([], True, id="not asked since"),
        pytest.param([6.1], True, id="found out"),
        pytest.param([6.1, 6.2], True, id="on its way"),
        pytest.param([6.1, 7.0], False, id="asked again"),
    ],
)
def test_a_move(record, asked_there, excused):
    """One request finds it out; the next one goes to the new address."""
    get = record.exchanges[0]
    left = dataclasses.replace(get, fault=Fault.DRAINED, status=503, left=True)
    record.moves = [6.0]
    record.exchanges += [dataclasses.replace(left, began=at) for at in asked_there]
    record.calls[1] = Call(8.0, 8.1, "0", False)

    verdict = judge(record)
    assert (excused, excused) == (not verdict.stale, not verdict.wrong)
    record.exchanges.append(dataclasses.replace(get, began=7.5))
    assert judge(record).stale


def test_a_move_and_back(record):
    """Each address is found out anew."""
    get = record.exchanges[0]
    left = dataclasses.replace(get, fault=Fault.DRAINED, status=503, left=True)
    record.moves = [6.0, 7.0]
    record.exchanges += [dataclasses.replace(left, began=at) for at in (6.1, 7.1)]

    assert [] == judge(record).wrong
    record.exchanges.append(dataclasses.replace(left, began=7.8))
    assert ["an address was asked again"] == judge(record).wrong


def test_the_end_and_the_results(record):
    """An exceeded grace and a failed invocation are broken promises."""
    record.exit = Exit(-9, 5.0, killed=True)
    record.failure = "500"

    assert ["the grace ran out", "an invocation failed"] == judge(record).wrong


def test_the_baseline_reports_nothing(record):
    """Unknown outcomes are known from the server; every other loss is silent."""
    record.ledger.pop()
    record.exchanges.append(post(3))
    record.counted = 5
    verdict = judge_baseline(record)

    assert (3, 2) == (verdict.unanswered, verdict.silent)
    record.plan = dataclasses.replace(PLAN, end=End.KILL)
    assert 5 == judge_baseline(record).killed


def test_a_life_is_drawn_again_from_its_seed():
    """The same numbers give the same life, other numbers another one."""
    assert draw("aws_lambda", 1, 2) == draw("aws_lambda", 1, 2)
    assert draw("aws_lambda", 1, 2).steps != draw("aws_lambda", 1, 3).steps
