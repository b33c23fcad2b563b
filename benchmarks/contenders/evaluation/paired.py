"""
All clients of the same flags in one process, in short blocks that alternate.

So a drift within a process, or between processes, affects both sides of each ratio.
"""

import os
import random
import statistics

from _contexts import UNLEASH, enabled, flag_for, text_for, variant
from _engine import CONTEXTS, Calls
from _state import raw_client, snapshot
from timing import Timing, repeat

from serverless_flags import FlagSession

BLOCKS = int(os.environ["BLOCKS"])
BLOCK = 0.0008
"""Approximate duration of a block of calls in seconds."""

RATIOS = (
    ("unleash", "raw"),
    ("unleash inside", "raw"),
    ("lean", "raw"),
    ("lean inside", "raw"),
    ("lean", "calls"),
    ("lean inside", "calls"),
)


def _session(client):
    flags = FlagSession(client=client, snapshot=snapshot(), app_name="evaluation")
    flags.start()
    assert flags.status.source == "snapshot", flags.status
    return flags


def _compare(name, asked):
    """Record the median of the blocks' ratios; ``asked``: function and arguments."""
    costs = {}
    for side, (function, arguments) in asked.items():
        answer = function(*arguments)
        assert answer is True or answer["enabled"] is True, (name, side, answer)
        costs[side] = repeat(200, function, arguments) / 200
    loops = {side: max(1, round(BLOCK / cost)) for side, cost in costs.items()}
    times = {side: [] for side in asked}
    order = list(asked)
    for _ in range(BLOCKS):
        random.shuffle(order)
        for side in order:
            times[side].append(repeat(loops[side], *asked[side]) / loops[side])
    for ours, theirs in RATIOS:
        pairs = zip(times[ours], times[theirs], strict=True)
        ratio = statistics.median(our / their for our, their in pairs)
        timing.add(f"{ours} / {theirs}, {name}", "number", ratio)


timing = Timing()
raw, calls = raw_client(), Calls()
sessions = {
    f"{client}{where}": _session(client)
    for client in ("unleash", "lean")
    for where in ("", " inside")
}
for side, flags in sessions.items():
    if side.endswith("inside"):
        flags.invocation().__enter__()  # the invocation lasts as long as the process
clients = {"raw": raw, **sessions}
for kind, context in UNLEASH.items():
    asked = (flag_for(kind), context)
    by_side = {side: (client.is_enabled, asked) for side, client in clients.items()}
    by_side["calls"] = calls.is_enabled, (flag_for(kind), CONTEXTS[kind])
    _compare(enabled(kind), by_side)
    asked = (text_for(kind), context)
    by_side = {side: (client.get_variant, asked) for side, client in clients.items()}
    by_side["calls"] = calls.get_variant, (text_for(kind), CONTEXTS[kind])
    _compare(variant(kind), by_side)
timing.show()
