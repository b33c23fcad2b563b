"""Which invocations saw old flags, and for which of them that is excused."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from plan import LIMIT, REFRESH_TIMEOUT

from serverless_flags.testing.faults import Fault

if TYPE_CHECKING:
    from record import Call, Record
    from verdict import Verdict

    from serverless_flags.testing.faults import Exchange

SLACK = 0.1
"""Seconds between the clock of a life and that of its server."""


def compare_ages(record: Record, verdict: Verdict) -> None:
    """Compare the states that invocations saw with those that were in force."""
    for call in record.calls:
        if call.variant is None or _excused(record, call):
            continue
        began = [began for began, ended in record.freezes if ended - began > LIMIT]
        verdict.after_freeze += any(began < call.asked for began in began)
        if call.variant == "disabled":  # no flags at all
            verdict.defaults += 1
        elif int(call.variant) + 1 < len(record.flips):
            superseded = call.asked - record.flips[int(call.variant) + 1]
            verdict.ages.append(max(0.0, superseded))


def _excused(record: Record, call: Call) -> bool:
    """Whether the server, or this machine, may have been too slow for a refresh."""
    if call.busy or call.answered - call.asked > REFRESH_TIMEOUT:
        return True
    good = [
        exchange.began
        for exchange in _gets(record)
        if exchange.began < call.asked
        and exchange.fault.answers
        and exchange.status is not None
    ]
    last = max(good, default=-math.inf)
    failing = any(
        began < call.answered and ended > last for began, ended in _failing(record)
    )
    moves = [moved for moved in record.moves if last < moved < call.answered]
    unnoticed = any(not asked_again(record, moved) for moved in moves)
    return failing or unnoticed


def _failing(record: Record) -> list[tuple[float, float]]:
    """Return the times in which the server was failing."""
    changes = [*record.faults, (math.inf, Fault.NONE)]
    return [
        (began, ended)
        for (began, fault), (ended, _) in itertools.pairwise(changes)
        if not fault.answers
    ]


def asked_again(record: Record, moved: float) -> list[float]:
    """
    Return when the session learnt that the server had left its address.

    One request finds that out. Every later request looks up the name again.
    """
    back = next((later for later in record.moves if later > moved), math.inf)
    left = [e.began for e in _gets(record) if e.left]
    here = [began for began in left if moved - SLACK < began < back - SLACK]
    return [began for began in here if began > here[0] + REFRESH_TIMEOUT]


def _gets(record: Record) -> list[Exchange]:
    """Return the requests for flags, without those of forked children."""
    children = _children(record)
    first: dict[str, float] = {}
    for exchange in record.exchanges:
        first.setdefault(exchange.sender, exchange.began)
    own = [
        sender
        for sender, at in first.items()
        if not any(began <= at <= ended for began, ended in children)
    ]
    return [e for e in record.exchanges if e.method == "GET" and e.sender in own[:1]]


def _children(record: Record) -> list[tuple[float, float]]:
    """Return the times in which each forked child lived."""
    pids = {line["pid"] for line in record.ledger if line["kind"] == "child"}
    lives = [
        [line["at"] for line in record.ledger if line["pid"] == pid] for pid in pids
    ]
    return [(min(life), max(life)) for life in lives]
