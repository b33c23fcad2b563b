"""The lean client in several threads: nothing waits for a parse, no count is lost."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yggdrasil_engine.engine import UnleashEngine

from serverless_flags.clients.lean import LeanClient

PATIENCE = 30.0
"""Seconds after which a test gives up."""


@pytest.fixture(name="new_lean", scope="session")
def _new_lean(state_of):
    def make(*flags):
        client = LeanClient(app_name="checkout")
        client.take_state(state_of(*flags))
        return client

    return make


def _beside(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


class TestParse:
    def test_evaluations_go_on_while_a_state_is_parsed(
        self, new_lean, state_of, monkeypatch
    ) -> None:
        """With the flags before; the new ones are served once they are complete."""
        client = new_lean("old")
        begun, finish = threading.Event(), threading.Event()
        parse = client._library.take_state

        def slow(pointer, body):
            begun.set()
            assert finish.wait(PATIENCE)
            return parse(pointer, body)

        monkeypatch.setattr(client._library, "take_state", slow)
        taking = _beside(client.take_state, state_of("new"))
        assert begun.wait(PATIENCE)
        before = [client.is_enabled(name) for name in ("old", "new")]
        finish.set()
        taking.join(PATIENCE)

        assert [True, False] == before
        assert [False, True] == [client.is_enabled(name) for name in ("old", "new")]
        counted = {"yes": 1, "no": 1, "variants": {}}
        assert counted == client.take_counts()["toggles"]["old"]

    def test_an_evaluation_under_way_ends_with_the_flags_it_began_with(
        self, new_lean, state_of, monkeypatch
    ) -> None:
        """It is counted, and does not pay for freeing them: the next state does."""
        freed = []

        class Engine(UnleashEngine):
            def __del__(self) -> None:
                freed.append(threading.current_thread())
                super().__del__()

        client = LeanClient(app_name="checkout")
        client._new_engine = Engine
        client.take_state(state_of("old"))
        begun, finish = threading.Event(), threading.Event()
        check = client._library.check_enabled
        answers = []

        def slow(*arguments):
            begun.set()
            assert finish.wait(PATIENCE)
            return check(*arguments)

        monkeypatch.setattr(client._library, "check_enabled", slow)
        asking = _beside(lambda: answers.append(client.is_enabled("old")))
        assert begun.wait(PATIENCE)
        client.take_state(state_of("new"))
        finish.set()
        asking.join(PATIENCE)
        assert [True] == answers
        assert [] == freed
        client.take_state(state_of("newer"))

        assert [threading.current_thread()] * 2 == freed
        assert 1 == client.take_counts()["toggles"]["old"]["yes"]


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
        self, new_lean, state_of, plan, states, drains
    ) -> None:
        """However states and flushes fall between them, in whichever threads."""
        client = new_lean("on")
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
                client.take_state(state_of("on"))

        def flush():
            start.wait(PATIENCE)
            buckets.extend(client.take_counts() for _ in range(drains))

        work = [_beside(evaluate, names) for names in plan]
        for thread in (*work, _beside(refresh), _beside(flush)):
            thread.join(PATIENCE)
        buckets.append(client.take_counts())
        toggles = [bucket["toggles"] for bucket in buckets if bucket is not None]
        counted = {
            name: sum(
                toggle[name]["yes" if name == "on" else "no"]
                for toggle in toggles
                if name in toggle
            )
            for name in ("on", "off")
        }
        asked = [name for names in plan for name in names]

        assert {name: 2 * asked.count(name) for name in counted} == counted
