"""Evaluations in parallel with ten thousand new states, with memory checks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = r"""
import json, sys, threading, time
from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend

SWAPS = int(sys.argv[2])
sys.setswitchinterval(1e-5)
told = []

class Asks:
    "A custom strategy that asks the client itself."
    def apply(self, parameters, context):
        return client.is_enabled("plain", context)

def listen(impression):
    client.is_enabled("plain")
    told.append(impression.feature_name)

class Text:
    "Other threads run while its text is made."
    def __str__(self):
        time.sleep(0)
        return "x"

def flag(name, strategy="default", **more):
    strategies = [{"name": strategy, "parameters": {}, "constraints": []}]
    return {"name": name, "enabled": True, "strategies": strategies, **more}

def state(filler):
    flags = [flag("plain"), flag("told", impressionData=True), flag("mine", "mine")]
    flags[0]["description"] = "x" * filler
    flags.append(flag("both", "mine", impressionData=True))
    return json.dumps({"version": 2, "features": flags})

settings = load_settings({
    "client": sys.argv[1], "strategies": {"mine": Asks()}, "on_impression": listen,
}, {})
client = open_backend(settings, "checkout").load()
states = [state(10), state(500)]
client.load_state(states[0])
asked, answers, done = [0] * 2, set(), threading.Event()

def ask(which):
    while not done.is_set():
        for name in ("told", "mine", "both"):
            answers.add(client.is_enabled(name, {"userId": "7", "plan": Text()}))
            client.get_variant(name, {"plan": Text()})
        asked[which] += 1
        time.sleep(0.001)  # leaves the processor to the new states

threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(asked))]
for thread in threads:
    thread.start()
for swap in range(SWAPS):
    client.load_state(states[swap % 2])
done.set()
for thread in threads:
    thread.join()
counts = client.drain_counts()["toggles"]
each = {n: counts[n]["yes"] + counts[n]["no"] for n in ("told", "mine", "both")}
print(json.dumps([sum(asked), each, len(told), sorted(answers), client.uncounted]))
"""


@pytest.mark.parametrize("client", ["unleash", "lean"])
def test_no_engine_is_used_after_it_was_freed(client) -> None:
    """With impressions, strategies and listeners; each evaluation is counted."""
    command = [sys.executable, "-X", "dev", "-X", "faulthandler", "-c", PROGRAM]
    done = subprocess.run(
        [*command, client, "10000"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    asked, counted, told, answers, uncounted = json.loads(done.stdout)
    assert asked > 0
    assert {"told": 2 * asked, "mine": 2 * asked, "both": 2 * asked} == counted
    assert 4 * asked == told
    assert ([True], 0) == (answers, uncounted)
