"""New states in other threads: no evaluation waits for a parse, no count is lost."""

from __future__ import annotations

import gc
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from UnleashClient.clients import unleash_client
from yggdrasil_engine import engine as yggdrasil

from serverless_flags._settings import load_settings
from serverless_flags.clients import _engine as engine_module
from serverless_flags.clients import open_backend

PATIENCE = 30.0
"""Seconds after which a test gives up."""


class Gate:
    """A custom strategy that waits inside an evaluation until the test opens it."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def apply(self, _parameters, _context):
        self.reached.set()
        return self.opened.wait(PATIENCE)


@pytest.fixture(name="new", params=["unleash", "lean"], scope="module")
def _new(request):
    """Return a function that makes a client of Unleash."""

    def new(**given):
        chosen = load_settings({"client": request.param, **given}, {})
        return open_backend(chosen, "checkout").load()

    return new


@pytest.fixture(name="engines")
def _engines(request):
    """Return the class of the client's engines."""
    client = request.node.callspec.params["new"]
    return yggdrasil.UnleashEngine if client == "unleash" else engine_module.Engine


def _start_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _totals(buckets):
    """Return how often the flag "on" was on, and the flag "off" off."""
    toggles = [bucket["toggles"] for bucket in buckets if bucket is not None]
    return {
        name: sum(toggle[name][answer] for toggle in toggles if name in toggle)
        for name, answer in (("on", "yes"), ("off", "no"))
    }


def _gated(name):
    strategy = {"name": "gate", "parameters": {}}
    flag = {"name": name, "enabled": True, "strategies": [strategy]}
    return json.dumps({"version": 2, "features": [flag]})


class TestParse:
    def test_evaluations_go_on_while_a_state_is_parsed(
        self, new, state_of, monkeypatch
    ) -> None:
        """With the previous flags; the new ones are served once they are loaded."""
        client = new()
        client.load_state(state_of("old"))
        begun, finish = threading.Event(), threading.Event()
        parse = client._library.load_state

        def slow(pointer, body):
            begun.set()
            assert finish.wait(PATIENCE)
            return parse(pointer, body)

        monkeypatch.setattr(client._library, "load_state", slow)
        taking = _start_thread(client.load_state, state_of("new"))
        assert begun.wait(PATIENCE)
        before = [client.is_enabled(name) for name in ("old", "new")]
        finish.set()
        taking.join(PATIENCE)

        assert [True, False] == before
        assert [False, True] == [client.is_enabled(name) for name in ("old", "new")]
        counted = {"yes": 1, "no": 1, "variants": {}}
        assert counted == client.drain_counts()["toggles"]["old"]

    def test_an_evaluation_ends_with_the_flags_it_began_with(
        self, new, engines, state_of, monkeypatch
    ) -> None:
        """It is counted, and the old engine is freed by the next state, not by it."""
        freed = []

        class Engine(engines):
            def __del__(self) -> None:
                freed.append(threading.current_thread())
                super().__del__()

        monkeypatch.setattr(yggdrasil, "UnleashEngine", Engine)
        monkeypatch.setattr(unleash_client, "UnleashEngine", Engine)
        monkeypatch.setattr(engine_module, "Engine", Engine)
        gate, answers = Gate(), []
        client = new(strategies={"gate": gate})
        client.load_state(_gated("old"))
        freed.clear()  # the engine from before the first state
        asking = _start_thread(lambda: answers.append(client.is_enabled("old")))
        assert gate.reached.wait(PATIENCE)
        client.load_state(state_of("new"))
        gate.opened.set()
        asking.join(PATIENCE)
        assert [True] == answers
        assert [] == freed
        client.load_state(state_of("newer"))

        assert [threading.current_thread()] * 2 == freed
        assert 1 == client.drain_counts()["toggles"]["old"]["yes"]

    def test_old_flags_leave_no_garbage(
        self, new, engines, state_of, monkeypatch
    ) -> None:
        """Their memory is freed at once, without a garbage collection."""
        living = []

        class Engine(engines):
            def __init__(self) -> None:
                living.append(id(self))
                super().__init__()

            def __del__(self) -> None:
                living.remove(id(self))
                super().__del__()

        monkeypatch.setattr(yggdrasil, "UnleashEngine", Engine)
        monkeypatch.setattr(unleash_client, "UnleashEngine", Engine)
        monkeypatch.setattr(engine_module, "Engine", Engine)
        gc.disable()
        try:
            client = new()
            seen = []
            for _ in range(3):
                client.load_state(state_of("flag"))
                seen.append(len(living))
        finally:
            gc.enable()

        assert [2, 2, 2] == seen  # the one that evaluates, and the one that counts


class TestConservation:
    @settings(max_examples=20)
    @given(
        plan=st.lists(
            st.lists(st.sampled_from(["on", "off"]), max_size=30),
            min_size=1,
            max_size=4,
        ),
        states=st.integers(0, 8),
        drains=st.integers(0, 8),
    )
    def test_every_evaluation_is_counted_once(
        self, new, state_of, plan, states, drains
    ) -> None:
        """Whatever states and flushes come between them, and in whichever threads."""
        client = new()
        client.load_state(state_of("on"))
        start = threading.Barrier(len(plan) + 2)
        buckets = []

        def evaluate(names):
            start.wait(PATIENCE)
            for name in names:
                client.is_enabled(name)
                client.get_variant(name)

        def refresh():
            start.wait(PATIENCE)
            for _ in range(states):
                client.load_state(state_of("on"))

        def flush():
            start.wait(PATIENCE)
            buckets.extend(client.drain_counts() for _ in range(drains))

        work = [_start_thread(evaluate, names) for names in plan]
        for thread in (*work, _start_thread(refresh), _start_thread(flush)):
            thread.join(PATIENCE)
        buckets.append(client.drain_counts())
        names = [name for part in plan for name in part]

        assert {"on": 2 * names.count("on"), "off": 2 * names.count("off")} == (
            _totals(buckets)
        )
