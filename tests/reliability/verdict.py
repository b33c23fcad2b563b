"""What one life proves: which evaluations were lost, and who has seen old flags."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plan import FLUSH_INTERVAL, LIMIT, End

from serverless_flags.testing.faults import Exchange, Fault

if TYPE_CHECKING:
    from life import Call, Record

IN_TIME = 0.5
"""Seconds within which an invocation waits for a refresh (``refresh_timeout``)."""

SLACK = 0.1
"""Seconds for what is between an invocation's start and its clock."""

NEVER_ANSWERED = {Fault.RESET_LATE, Fault.GATEWAY}
"""Faults after which the server has counted and the client cannot know it."""


@dataclass(slots=True)
class Verdict:
    """One life in numbers; evaluations unless it says something else."""

    made: int = 0
    taken: int = 0
    """Counted by the server."""
    unanswered: int = 0
    """Reported by the session: sent, and no answer came."""
    refused: int = 0
    """Reported by the session: never sent, for the server would not have them."""
    unheard: int = 0
    """Lost to a kill without a signal."""
    calls: int = 0
    stale: int = 0
    """Invocations that saw flags older than the limit, whatever the reason."""
    oldest: float = 0.0
    """Seconds for which the oldest flags seen had been superseded."""
    wrong: list[str] = field(default_factory=list)
    """What must not have happened."""

    @property
    def lost(self) -> int:
        """Evaluations that the server does not have."""
        return self.made - self.taken


def judge(record: Record, *, promised: bool = True) -> Verdict:
    """
    Judge a life.

    Args:
        record: what happened.
        promised: whether anything was: the baseline promises nothing.
    """
    evaluations = [line for line in record.ledger if line["kind"] == "evaluation"]
    words = [line for line in record.ledger if line["kind"] == "last words"]
    verdict = Verdict(len(evaluations), record.taken, calls=len(record.calls))
    verdict.unanswered = sum(line["unknown"] for line in words)
    verdict.refused = sum(line["uncounted"] for line in words)
    if record.plan.end is End.KILL:
        verdict.unheard = max(0, verdict.lost)
    for call in record.calls:
        _judge_age(record, call, verdict, promised=promised)
    if promised:
        _judge_counts(record, verdict)
        if record.failure is not None:
            verdict.wrong.append(record.failure)
        if record.exit is not None and record.exit.killed:
            verdict.wrong.append("the grace ran out")
    return verdict


def _judge_counts(record: Record, verdict: Verdict) -> None:
    """Compare what was made with what was taken and what was reported."""
    if verdict.lost < 0:
        verdict.wrong.append(f"{-verdict.lost} evaluations were counted twice")
    if record.plan.end is End.KILL:
        _judge_kill(record, verdict)
        return
    asked = {line["pid"] for line in record.ledger if line["kind"] == "evaluation"}
    told = {line["pid"] for line in record.ledger if line["kind"] == "last words"}
    if asked - told:
        verdict.wrong.append("a process ended without a last word")
    # What was reported as unknown may have arrived, and no more than that.
    arrived = verdict.unanswered + verdict.refused - verdict.lost
    least = sum(_evaluations(e) for e in _posts(record) if e.fault in NEVER_ANSWERED)
    if arrived < 0:
        verdict.wrong.append(f"{-arrived} evaluations were lost in silence")
    elif arrived < least:
        verdict.wrong.append(f"{least - arrived} unknown evaluations went unreported")
    elif arrived > min(verdict.unanswered, verdict.taken):
        verdict.wrong.append("evaluations were reported lost that were not")


def _judge_kill(record: Record, verdict: Verdict) -> None:
    """Without a fault, a kill costs what came after the last flush was due."""
    if record.faults or not record.calls:
        return
    last = max(call.asked for call in record.calls)
    recent = sum(
        line["kind"] == "evaluation" and line["at"] > last - FLUSH_INTERVAL - SLACK
        for line in record.ledger
    )
    if verdict.lost > recent:
        verdict.wrong.append(f"a kill cost {verdict.lost} evaluations, not {recent}")


def _judge_age(
    record: Record, call: Call, verdict: Verdict, *, promised: bool
) -> None:
    """Compare the state that an invocation saw with those that were in force."""
    if call.variant is None:
        return
    if call.variant == "disabled":  # no flags at all
        if promised and not record.faults and not _was_late(record, call):
            verdict.wrong.append("defaults were served though the server was well")
        return
    seen = int(call.variant)
    if seen + 1 >= len(record.flips):
        return  # the newest
    age = call.asked - record.flips[seen + 1]
    verdict.oldest = max(verdict.oldest, age)
    if age <= LIMIT:
        return
    verdict.stale += 1
    if promised and not _was_late(record, call):
        verdict.wrong.append(f"flags were superseded {age:.2f} s before an invocation")


def _was_late(record: Record, call: Call) -> bool:
    """Whether the server, or this machine, did not answer a refresh in time."""
    if call.answered - call.asked > IN_TIME and not call.busy:
        return True
    answered = [
        exchange.began
        for exchange in record.exchanges
        if exchange.method == "GET"
        and exchange.began < call.asked
        and exchange.fault is Fault.NONE
        and exchange.status is not None
    ]
    since = max(answered, default=-math.inf)
    return any(
        began < call.answered and ended > since for began, ended in _failing(record)
    ) or any(began < call.answered and ended > call.asked for began, ended in record.freezes)


def _failing(record: Record) -> list[tuple[float, float]]:
    """Return when the server was failing."""
    ends = [began for began, _ in record.faults[1:]]
    return [
        (began, ended)
        for (began, fault), ended in zip(record.faults, [*ends, math.inf])
        if fault is not Fault.NONE
    ]


def _posts(record: Record) -> list[Exchange]:
    return [e for e in record.exchanges if e.method == "POST" and e.taken]


def _evaluations(exchange: Exchange) -> int:
    """Return how many evaluations a request with counts carries."""
    bucket = json.loads(exchange.body).get("bucket") or {"toggles": {}}
    return sum(toggle["yes"] + toggle["no"] for toggle in bucket["toggles"].values())
