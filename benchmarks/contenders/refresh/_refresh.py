"""How invocations and refreshes of one client slow each other, and what a 304 costs."""

import json
import os
import threading
import time
from array import array

USER = {"userId": "7"}
FLAGS = ("flag-0", "flag-1", "flag-2")
QUIET = 0.4
"""Seconds before and after the refresh."""
UNCHANGED = 8
"""Number of refreshes whose cost is averaged."""
_DOCUMENT = {"items": [{"id": n, "name": f"item {n}"} for n in range(100)]}


def compute():
    """Do about a millisecond of work with JSON."""
    for _ in range(20):
        json.loads(json.dumps(_DOCUMENT))


def show(invoke, refresh):
    """
    Measure what ``MEASURES`` names, print it and exit.

    Args:
        invoke: one invocation; called with the work that it does before evaluating.
        refresh: refreshes, and returns when the new state is in use.
    """
    if os.environ["MEASURES"] == "unchanged":
        values = {"304 [seconds]": _unchanged(refresh)}
    else:
        values = {
            **_during("evaluating", lambda: invoke(None), refresh),
            **_during("computing", lambda: invoke(compute), refresh),
        }
    print("True")
    print(json.dumps(values), flush=True)
    os._exit(0)


def _unchanged(refresh):
    """Return the CPU seconds, of all threads, for a refresh that changes nothing."""
    refresh()
    began = time.process_time()
    for _ in range(UNCHANGED):
        refresh()
    return (time.process_time() - began) / UNCHANGED


def _during(kind, call, refresh):
    """Call back to back while another thread refreshes once."""
    window, ended = [], threading.Event()

    def other():
        time.sleep(QUIET)
        window.append(time.perf_counter())
        refresh()
        window.append(time.perf_counter())
        time.sleep(QUIET)
        ended.set()

    for _ in range(100):
        call()
    starts, ends = array("d"), array("d")
    now, over = time.perf_counter, ended.is_set
    threading.Thread(target=other).start()
    while not over():
        began = now()
        call()
        ends.append(now())
        starts.append(began)
    during, without = [], []
    for began, end in zip(starts, ends, strict=True):
        overlaps = began < window[1] and end > window[0]
        (during if overlaps else without).append(end - began)
    return {
        **_percentiles(f"{kind}, without", without),
        **_percentiles(f"{kind}, during", during),
        f"{kind}, without, arriving [seconds]": _arriving(without),
        f"{kind}, during, arriving [seconds]": _arriving(during),
        f"{kind}, refresh [seconds]": window[1] - window[0],
        f"{kind}, invocations during [number]": len(during),
    }


def _percentiles(name, seconds):
    seconds.sort()
    count = len(seconds)
    assert count > 20, (name, count)  # noqa: PLR2004  reason: fewer have no p99
    return {
        f"{name}, p50 [seconds]": seconds[count // 2],
        f"{name}, p99 [seconds]": seconds[int(count * 0.99)],
        f"{name}, p99.9 [seconds]": seconds[int(count * 0.999)],
        f"{name}, longest [seconds]": seconds[-1],
    }


def _arriving(seconds):
    """
    Return the 99th percentile for callers that arrive at a random moment and wait.

    Back to back, a pause of 200 ms delays one invocation; for callers from outside it
    delays every call that arrives in it. While an invocation of d seconds runs, the
    callers of its first d - w seconds wait for more than w.
    """
    allowed, low, high = sum(seconds) * 0.01, 0.0, max(seconds)
    for _ in range(40):
        wait = (low + high) / 2
        if sum(d - wait for d in seconds if d > wait) > allowed:
            low = wait
        else:
            high = wait
    return high + sorted(seconds)[len(seconds) // 2]
