"""Unknown flags are logged once, with the most similar known name."""

from __future__ import annotations

import json
import logging

import pytest

from serverless_flags._protocols import NO_FLAGS
from serverless_flags._settings import load_settings
from serverless_flags.clients import _evaluation, _unknown, open_backend
from serverless_flags.clients.memory import MOST_UNKNOWN, MemoryClient


@pytest.fixture(name="client", params=["unleash", "lean"])
def _client(request):
    chosen = load_settings({"client": request.param}, {})
    return open_backend(chosen, "checkout").load()


@pytest.fixture(name="said")
def _said(caplog):
    """Return a function that returns the log lines about unknown flags."""
    caplog.set_level(logging.INFO)
    return lambda: [line for line in caplog.messages if "is unknown" in line]


class TestNames:
    def test_they_are_listed_in_the_order_of_first_evaluation(
        self, client, state_of
    ) -> None:
        """Each once, from both methods; a known flag that is off is not listed."""
        client.load_state(state_of("simpleFlag"))
        for name in ("b", "simpleFlag", "a", "b"):
            client.is_enabled(name)
        client.get_variant("c")
        client.get_variant("simpleFlag")

        assert ("b", "a", "c") == client.unknown_flags

    def test_before_a_state_nothing_is_unknown(self, client, said) -> None:
        """Nor after the flags have expired."""
        client.is_enabled("a")
        client.load_state(NO_FLAGS)
        client.get_variant("a")

        assert () == client.unknown_flags
        assert [] == said()

    def test_a_flag_that_appears_is_removed(self, client, state_of, said) -> None:
        """It is not logged again when it disappears."""
        client.load_state(state_of("x"))
        for name in ("a", "b"):
            client.is_enabled(name)
        client.load_state(state_of("a"))
        assert ("b",) == client.unknown_flags
        client.load_state(state_of("x"))
        client.is_enabled("a")

        assert ("b", "a") == client.unknown_flags
        assert 2 == len(said())

    def test_a_known_flag_that_fails_is_removed_too(
        self, client, state_of, monkeypatch
    ) -> None:
        """The engine knows it, although it returns an error."""
        client.load_state(state_of("x"))
        client.is_enabled("a")

        def fail(_answer):
            raise _unknown.EngineError

        state = client._evaluator._unknown
        monkeypatch.setattr(client._library, "read", fail)
        state.forget_known(type("State", (), {"pointer": 0}))

        assert () == client.unknown_flags

    def test_the_list_is_bounded(self, client, state_of) -> None:
        """In number, and in the length of names."""
        client.load_state(state_of("x"))
        client.is_enabled("y" * 1000)
        for number in range(_unknown.MOST + 5):
            client.is_enabled(f"invented {number}")

        assert _unknown.MOST == len(client.unknown_flags)
        assert "invented 0" == client.unknown_flags[0]


class TestLog:
    @pytest.mark.parametrize(
        ("asked", "meant"),
        [("simpelFlag", "simpleFlag"), ("SIMPLEFLAG", "simpleFlag"), ("drak", "dark")],
    )
    def test_one_line_names_it_and_the_nearest(
        self, client, state_of, said, asked, meant
    ) -> None:
        """However often it is evaluated."""
        client.load_state(state_of("simpleFlag", "dark", "other"))
        for _ in range(3):
            client.is_enabled(asked)
            client.get_variant(asked)

        assert [f"the flag {asked!r} is unknown: did you mean {meant!r}?"] == said()

    def test_without_a_similar_name_the_line_says_what_to_check(
        self, client, state_of, said
    ) -> None:
        """As with a token of another environment."""
        client.load_state(state_of("simpleFlag"))
        client.is_enabled("checkout-v2")

        assert "environment of the token" in said()[0]

    def test_names_are_escaped(self, client, state_of, said) -> None:
        """The caller's and the server's."""
        client.load_state(state_of("line\nbreak"))
        client.is_enabled("line\nbreek")

        assert "\n" not in said()[0]
        assert "'line\\nbreak'" in said()[0]

    def test_it_is_a_warning_unless_there_is_a_fallback(
        self, client, state_of, caplog
    ) -> None:
        """With a fallback the caller expects that the flag may be missing."""
        caplog.set_level(logging.INFO)
        client.load_state(state_of("x"))
        client.is_enabled("expected", None, lambda *_: True)
        client.is_enabled("misspelt")

        assert [logging.INFO, logging.WARNING] == [r.levelno for r in caplog.records]

    def test_log_lines_are_bounded(self, client, state_of, said) -> None:
        """The last one says so."""
        client.load_state(state_of("x"))
        for number in range(_unknown.MOST_LINES + 5):
            client.is_enabled(f"invented {number}")

        assert _unknown.MOST_LINES == len(said())
        assert "no further unknown flag is logged" in said()[-1]

    def test_an_engine_without_a_list_of_names(
        self, client, state_of, said, monkeypatch
    ) -> None:
        """The line suggests no name then."""
        client.load_state(state_of("simpleFlag"))
        real = client._library.read

        def read(answer):
            value = real(answer)
            if isinstance(value, list):
                raise _unknown.EngineError
            return value

        monkeypatch.setattr(client._library, "read", read)
        assert not client.is_enabled("simpelFlag")
        assert "did you mean" not in said()[0]


class TestCountedNames:
    def test_names_between_two_flushes_are_bounded(
        self, client, state_of, monkeypatch, caplog
    ) -> None:
        """Further ones are evaluated, not counted, and reported."""
        monkeypatch.setattr(_evaluation, "MOST_NAMES", 3)
        client.load_state(state_of("flag"))
        for name in ("a", "b", "c", "d", "a", "flag", "e"):
            client.is_enabled(name, None, lambda *_: True)
        answers = client.is_enabled("flag"), client.get_variant("d")["enabled"]
        toggles = client.drain_counts()["toggles"]

        assert (True, False) == answers
        assert {"a": 2, "b": 1, "c": 1} == {n: t["yes"] for n, t in toggles.items()}
        assert 5 == client.uncounted
        assert 1 == sum("are not counted" in line for line in caplog.messages)
        client.is_enabled("flag")
        assert ["flag"] == list(client.drain_counts()["toggles"])
        assert 5 == client.uncounted

    def test_a_new_state_does_not_lift_the_bound(
        self, client, state_of, monkeypatch
    ) -> None:
        """The counts are kept, and so are their names."""
        monkeypatch.setattr(_evaluation, "MOST_NAMES", 2)
        for name in ("a", "b", "c"):
            client.load_state(state_of(name))
            assert client.is_enabled(name)

        assert ["a", "b"] == sorted(client.drain_counts()["toggles"])
        assert 1 == client.uncounted

    def test_very_long_names_are_not_counted(self, client, state_of) -> None:
        """They are evaluated."""
        name = "n" * (_evaluation.LONGEST_NAME + 1)
        client.load_state(state_of(name, "flag"))
        assert client.is_enabled(name)
        client.get_variant(name)
        client.is_enabled("flag")

        assert ["flag"] == list(client.drain_counts()["toggles"])
        assert 2 == client.uncounted


class TestMemory:
    def test_it_lists_names_that_the_test_has_not_set(self) -> None:
        """In the order of the first evaluation, until they are set."""
        client = MemoryClient({"known": False})
        for name in ("b", "known", "a", "b"):
            client.is_enabled(name)
        assert ("b", "a") == client.unknown_flags
        client.set("b", value=True)

        assert ("a",) == client.unknown_flags

    def test_the_list_is_bounded(self) -> None:
        """As with the other clients."""
        client = MemoryClient()
        for number in range(MOST_UNKNOWN + 5):
            client.get_variant(f"invented {number}")

        assert MOST_UNKNOWN == len(client.unknown_flags)


def test_the_nearest_of_many_names_is_found_quickly(client, state_of, said) -> None:
    """Names of another length are not compared, and only a limited number."""
    names = [f"flag-{'x' * (i % 40)}-{i}" for i in range(3000)]
    client.load_state(json.dumps({**json.loads(state_of(*names, "simpleFlag"))}))
    client.is_enabled("simpelFlag")

    assert 1 == len(said())
