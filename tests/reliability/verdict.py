"""What one life proves: which evaluations were lost, and who saw old flags."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ages import asked_again, compare_ages
from bounds import endless_requests
from plan import FLUSH_INTERVAL, LIMIT, Do, End

from serverless_flags.testing.faults import Fault

if TYPE_CHECKING:
    from record import Record

    from serverless_flags.testing.faults import Exchange

SLACK = 0.1
"""Seconds between a caller's clock and the function's."""

UNKNOWABLE = {Fault.RESET_LATE, Fault.GATEWAY, Fault.ENDLESS_INTERIM}
"""Faults after which the server has the counts and the client cannot know it."""


@dataclass(slots=True)
class Verdict:
    """One life in numbers; evaluations unless a field says something else."""

    made: int = 0
    cut: int = 0
    """Begun and not ended, by a limit or with the process: perhaps made."""
    counted: int = 0
    """What the server has."""
    killed: int = 0
    """Lost in lives that ended by a kill without a signal."""
    unanswered: int = 0
    """Lost in requests that no answer came to, and reported by the session."""
    refused: int = 0
    """Lost because the server refused them to the end, and reported by the session."""
    silent: int = 0
    """Lost for no such reason, or unreported."""
    doubted: int = 0
    """Reported by the session as unanswered, and counted nevertheless."""
    invocations: int = 0
    cuts: int = 0
    """Invocations that a limit or a cancellation ended."""
    after_freeze: int = 0
    """Invocations after a freeze longer than the limit, with the server well."""
    ages: list[float] = field(default_factory=list)
    """Seconds for which the flags that invocations saw had been superseded."""
    defaults: int = 0
    """Invocations that saw no flags at all, with the server well."""
    wrong: list[str] = field(default_factory=list)
    """What must not have happened."""

    @property
    def stale(self) -> bool:
        """Whether an invocation saw flags older than the limit."""
        return any(age > LIMIT for age in self.ages)


def judge(record: Record) -> Verdict:
    """Return the verdict on the life of a session."""
    verdict = Verdict()
    _count(record, verdict)
    compare_ages(record, verdict)
    lost = verdict.made - verdict.counted
    if record.plan.end is End.KILL:
        _judge_kill(record, verdict)
    else:
        _judge_losses(record, verdict)
    checks = {
        "evaluations were counted twice": lost < -verdict.cut,
        "evaluations were lost in silence": verdict.silent > 0,
        "evaluations did not return": verdict.cut > verdict.cuts + 1,
        "an exception of others was swallowed": _swallowed(record),
        "an address was asked again": any(
            asked_again(record, moved) for moved in record.moves
        ),
        "a request had no end": bool(endless_requests(record)),
        "the grace ran out": record.exit is not None and record.exit.killed,
        "an invocation failed": record.failure is not None,
        "flags were older than the limit": verdict.stale,
        "defaults were served though the server was well": verdict.defaults > 0,
    }
    verdict.wrong += [what for what, so in checks.items() if so]
    return verdict


def judge_baseline(record: Record) -> Verdict:
    """Return the verdict on a client that reports nothing, from the server's counts."""
    verdict = Verdict()
    _count(record, verdict)
    compare_ages(record, verdict)
    lost = max(0, verdict.made - verdict.counted)
    if record.plan.end is End.KILL:
        verdict.killed = lost
        return verdict
    requests = [e for e in _posts(record) if not e.taken]
    never = sum(_evaluations(e) for e in requests if e.status is None)
    verdict.unanswered = min(lost, never)
    verdict.silent = lost - verdict.unanswered
    return verdict


# -- counts ----------------------------------------------------------------------------
def _count(record: Record, verdict: Verdict) -> None:
    kinds = Counter(line["kind"] for line in record.ledger)
    # UnleashClient takes an exception raised into it for its own fault and answers the
    # default. Whether it has counted then, is as uncertain as for what was cut.
    hidden = kinds["swallowed"] if record.plan.client == "unleash" else 0
    verdict.made = kinds["evaluation"] - hidden
    verdict.cut = kinds["question"] - verdict.made
    verdict.counted = record.counted
    verdict.invocations = len(record.calls)
    verdict.cuts = kinds["cut"] + kinds["swallowed"]


def _swallowed(record: Record) -> bool:
    """Whether an exception raised in the session was caught there."""
    return any(e["kind"] == "swallowed" and e["wrong"] for e in record.ledger)


def _judge_losses(record: Record, verdict: Verdict) -> None:
    """Compare the missing evaluations with those that the session reported."""
    said = [line for line in record.ledger if line["kind"] == "last words"]
    words = {line["pid"]: line for line in said}  # the last of each process
    unknown = sum(line["unknown"] for line in words.values())
    refused = sum(line["uncounted"] for line in words.values())
    lost = verdict.made - verdict.counted
    # Of what the session does not know, some may have arrived: no less than the
    # server took without an answer, and no more than it took at all.
    arrived = unknown + refused - lost
    verdict.silent = max(0, -arrived)
    verdict.doubted = max(0, arrived)
    verdict.refused = min(refused, max(0, lost))
    verdict.unanswered = max(0, lost) - verdict.refused - verdict.silent
    taken = [e for e in _posts(record) if e.taken]
    least = sum(_evaluations(e) for e in taken if e.fault in UNKNOWABLE)
    most = min(unknown, sum(map(_evaluations, taken)))
    if not verdict.silent and not least <= arrived <= most + verdict.cut:
        verdict.wrong.append(f"{arrived} in doubt, not from {least} to {most}")


def _judge_kill(record: Record, verdict: Verdict) -> None:
    """A kill costs the counts after the last due flush, unless a fault interfered."""
    verdict.killed = max(0, verdict.made - verdict.counted)
    disturbed = any(step.do is Do.FREEZE_BUSY for step in record.plan.steps)
    if record.faults or record.moves or disturbed or not record.calls:
        return
    last = max(call.asked for call in record.calls) - FLUSH_INTERVAL - SLACK
    if any(call.variant is None and call.asked > last for call in record.calls):
        return  # a flush may have been due in an invocation that was cut
    recent = sum(
        line["kind"] == "evaluation" and line["at"] > last for line in record.ledger
    )
    if verdict.killed > recent:
        verdict.wrong.append(f"a kill cost {verdict.killed}, not {recent} at most")


def _posts(record: Record) -> list[Exchange]:
    return [e for e in record.exchanges if e.path == "/api/client/metrics"]


def _evaluations(exchange: Exchange) -> int:
    """Return how many evaluations a request with counts carries."""
    bucket = json.loads(exchange.body).get("bucket") or {"toggles": {}}
    return sum(toggle["yes"] + toggle["no"] for toggle in bucket["toggles"].values())
