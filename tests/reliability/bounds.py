"""Which requests continued past their deadline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from plan import REQUEST_TIMEOUT

if TYPE_CHECKING:
    from record import Record

    from serverless_flags.testing.faults import Exchange

OVERRUN = 1.0
"""Seconds past the deadline that a busy machine may take to end a request."""


def endless_requests(record: Record) -> list[Exchange]:
    """
    Return the requests that read an endless answer past their deadline.

    The last flush is left out: its deadline is the platform's grace, which may begin in
    the middle of the last invocation. So are requests during a forked child's life,
    because the child keeps each connection of its parent open.
    """
    own = record.ledger[0]["pid"] if record.ledger else 0
    of_children = [line["at"] for line in record.ledger if line["pid"] != own]
    ends = [call.answered for call in record.calls if not call.busy]
    last = max(ends, default=-math.inf)
    return [
        exchange
        for exchange in record.exchanges
        if exchange.fault.endless
        and _awake(record, exchange.began, min(exchange.ended or math.inf, last))
        > REQUEST_TIMEOUT + OVERRUN
        and not any(
            exchange.began < at < (exchange.ended or math.inf) for at in of_children
        )
    ]


def _awake(record: Record, began: float, ended: float) -> float:
    """Return for how many seconds of an interval the instance was not frozen."""
    awake = [(began, ended)]
    if record.plan.frozen_when_idle:
        awake = _united([(call.asked, call.answered) for call in record.calls])
    seconds = sum(_shared(began, ended, *time) for time in awake)
    frozen = sum(
        _shared(max(began, since), min(ended, until), *time)
        for since, until in record.freezes
        for time in awake
    )
    return seconds - frozen


def _united(times: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the intervals merged, so that none overlaps another."""
    united: list[tuple[float, float]] = []
    for began, ended in sorted(times):
        if united and began <= united[-1][1]:
            united[-1] = (united[-1][0], max(ended, united[-1][1]))
        else:
            united.append((began, ended))
    return united


def _shared(began: float, ended: float, since: float, until: float) -> float:
    return max(0.0, min(ended, until) - max(began, since))
