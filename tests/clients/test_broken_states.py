"""A flag that the engine cannot read is left out; all others are served."""

from __future__ import annotations

import json

import pytest

from serverless_flags._settings import load_settings
from serverless_flags.clients import _salvage, open_backend

FLAG = {"name": "whole", "enabled": True, "strategies": []}
DEFAULT = {"name": "default", "parameters": {}, "constraints": []}


def constraint(operator, **more):
    return {"contextName": "userId", "operator": operator, "values": [], **more}


def constrained(*constraints):
    return [{**DEFAULT, "constraints": list(constraints)}]


BROKEN = {
    "an operator: not a string": {"strategies": constrained(constraint({"A": "B"}))},
    "a constraint without an operator": {"strategies": constrained({"values": []})},
    "variants: not a list": {"variants": 3},
    "a payload: not a string": {
        "variants": [{"name": "a", "weight": 1, "payload": {"value": {}}}]
    },
    "an invalid state": {"enabled": "yes"},
    "an invalid parent": {"dependencies": 3},
    "NaN": {"strategies": float("nan")},
    "an invalid strategy": {"strategies": [3]},
    "a rollout: not a string": {
        "strategies": [{**DEFAULT, "parameters": {"rollout": 5}}]
    },
    "a lone surrogate": {"description": "\ud800"},
}
NAMELESS = [3, None, "text", [], {}, {"enabled": True}, {**FLAG, "name": 7}]


def state(*features, **more):
    return json.dumps({"version": 2, "features": features, **more})


@pytest.fixture(name="new", params=["unleash", "lean"])
def _new(request):
    """Return a function that makes a client of Unleash."""

    def new(**given):
        chosen = load_settings({"client": request.param}, {}).replace(**given)
        return open_backend(chosen, "checkout").load()

    return new


@pytest.fixture(name="parses")
def _parses(monkeypatch):
    """Return a function that records the states that a client's engines parse."""

    def watch(client):
        parsed = []
        library = client._library
        real = library.load_state

        def load_state(engine, body):
            parsed.append(body)
            return real(engine, body)

        monkeypatch.setattr(library, "load_state", load_state)
        return parsed

    return watch


class TestFlags:
    @pytest.mark.parametrize("fault", BROKEN)
    def test_a_broken_flag_is_left_out_and_named(self, new, fault, caplog) -> None:
        """In a first state and in a later one; it is an unknown flag then."""
        broken = {**FLAG, "name": "broken", **BROKEN[fault]}
        cold, warm = new(), new()
        warm.load_state(state({**FLAG, "enabled": False}, {**FLAG, "name": "broken"}))
        for client in (cold, warm):
            caplog.clear()
            client.load_state(state(broken, FLAG))

            assert client.is_enabled("whole")
            assert not client.is_enabled("broken")
            assert "the flag 'broken'" in caplog.messages[0]
            assert "url" not in caplog.text

    @pytest.mark.parametrize("part", NAMELESS, ids=repr)
    def test_a_flag_without_a_name_is_left_out_too(self, new, part, caplog) -> None:
        """The warning says that there was one."""
        client = new()
        client.load_state(state(FLAG, part))

        assert client.is_enabled("whole")
        assert 1 == len(caplog.messages)
        assert "the flag " in caplog.messages[0]

    def test_a_kill_switch_works_despite_a_broken_flag(self, new) -> None:
        """It can be switched on and off."""
        broken = {**FLAG, "name": "broken", "variants": 3}
        client, answers = new(), []
        for enabled in (True, False, True):
            client.load_state(state(broken, {**FLAG, "enabled": enabled}))
            answers.append(client.is_enabled("whole"))

        assert [True, False, True] == answers

    def test_of_two_flags_with_a_name_the_last_counts(self, new, caplog) -> None:
        """As in a valid state."""
        broken = {**FLAG, "name": "broken", "variants": 3}
        client = new()
        client.load_state(state(FLAG, broken, {**FLAG, "enabled": False}))

        assert not client.is_enabled("whole")

    def test_a_number_of_any_length_affects_only_its_flag(self, new) -> None:
        """Python rejects an integer of more than 4,300 digits."""
        body = state(FLAG, {**FLAG, "name": "broken", "extra": 1})
        client = new()
        client.load_state(body.replace('"extra": 1', f'"extra": {"9" * 5000}'))

        assert client.is_enabled("whole")
        assert not client.is_enabled("broken")

    @pytest.mark.parametrize("operator", ["IN", "REGEX", "NEWER"])
    def test_an_operator_that_edge_does_not_know_is_read(
        self, new, operator, caplog
    ) -> None:
        """Unleash Edge wraps it in an object; the engine may know the operator."""
        written = constraint(
            {"UNKNOWN": operator}, values=["ada"], value="^ada$", caseInsensitive=False
        )
        client = new()
        client.load_state(
            state(FLAG, {**FLAG, "name": "edge", "strategies": constrained(written)})
        )
        known = operator != "NEWER"

        assert client.is_enabled("whole")
        assert known is client.is_enabled("edge", {"userId": "ada"})
        assert not client.is_enabled("edge", {"userId": "bob"})
        assert known is not bool(caplog.messages)


class TestSegments:
    BODY = state(
        {**FLAG, "strategies": [{**DEFAULT, "segments": [1]}]},
        {**FLAG, "name": "refers", "strategies": [{**DEFAULT, "segments": [2]}]},
        segments=[
            {"id": 1, "constraints": [constraint("IN", values=["ada"])]},
            {"id": 2, "constraints": [{"operator": 5}]},
        ],
    )

    def test_a_broken_segment_affects_only_its_flags(self, new, caplog) -> None:
        """They are off, never on for all users; the warning names both."""
        client = new()
        client.load_state(self.BODY)

        assert client.is_enabled("whole", {"userId": "ada"})
        assert not client.is_enabled("refers", {"userId": "ada"})
        assert 1 == len(caplog.messages)
        assert "the segment 2" in caplog.messages[0]
        assert "refers" in caplog.messages[0]

    def test_segments_that_are_not_a_list_are_left_out(self, new, caplog) -> None:
        """Flags without segments are served."""
        client = new()
        client.load_state(state(FLAG, segments=3))

        assert client.is_enabled("whole")
        assert "all segments" in caplog.messages[0]

    def test_other_parts_of_a_state_are_not_needed(self, new, caplog) -> None:
        """Other fields of the answer do not affect flags."""
        client = new()
        body = {"version": "two", "features": [FLAG], "query": 3, "meta": 5}
        client.load_state(json.dumps(body))

        assert client.is_enabled("whole")
        assert [] == caplog.messages


class TestDelta:
    def test_broken_events_and_flags_are_left_out(self, new, caplog) -> None:
        """One by one."""
        broken = {**FLAG, "name": "broken", "variants": 3}
        events = [
            {"type": "hydration", "eventId": 1, "features": [broken, FLAG]},
            {"type": "of another time", "eventId": 2},
            {"type": "feature-updated", "eventId": 3, "feature": {**FLAG, "name": "b"}},
            3,
        ]
        events[0]["segments"] = []
        client = new()
        client.load_state(json.dumps({"events": events}))

        assert [True, False, True] == [
            client.is_enabled(name) for name in ("whole", "broken", "b")
        ]
        for part in ("flag 'broken'", "event 'of another time'", "event without"):
            assert part in caplog.messages[0]


class TestWarning:
    def test_it_is_logged_once_while_it_lasts(self, new, caplog) -> None:
        """Again after another fault, and after a valid state in between."""
        broken = [{**FLAG, "name": name, "variants": 3} for name in ("a", "b")]
        client = new()
        for features in (broken[:1], broken[:1], broken[1:], [], broken[1:]):
            client.load_state(state(FLAG, *features))

        named = [message.split("the flag ")[1][:3] for message in caplog.messages]
        assert ["'a'", "'b'", "'b'"] == named

    def test_the_warning_is_bounded_and_escaped(self, new, caplog) -> None:
        """Names come from the server."""
        names = ["line\nbreak \x1b[31m", "x" * 10_000, *(f"f{i}" for i in range(50))]
        client = new()
        client.load_state(
            state(FLAG, *({**FLAG, "name": n, "enabled": 3} for n in names))
        )

        assert len(caplog.messages[0]) < 3000
        assert "\n" not in caplog.messages[0]
        assert "\x1b" not in caplog.messages[0]
        assert "and 42 more" in caplog.messages[0]

    def test_quotes_of_the_engine_are_escaped(self, new, caplog) -> None:
        """For a flag that is loaded but cannot be evaluated, the engine is quoted."""
        odd = {**FLAG, "name": "a\nb", "strategies": constrained(constraint("WAT"))}
        client = new()
        client.load_state(state(odd, FLAG))
        client.load_state(state(odd, FLAG))

        assert 1 == len(caplog.messages)
        assert "\n" not in caplog.messages[0]


class TestRefused:
    @pytest.mark.parametrize(
        "body",
        ["", "<html>", "[]", "{}", '{"toggles": []}', '{"features": {}}', "[" * 10**5],
    )
    def test_a_body_that_is_not_a_state_is_an_error(self, new, body) -> None:
        """The previous flags stay."""
        client = new()
        client.load_state(state(FLAG))
        with pytest.raises(ValueError, match="does the url point to the API"):
            client.load_state(body)

        assert client.is_enabled("whole")

    @pytest.mark.parametrize("parts", [NAMELESS, [{**FLAG, "variants": 3}]])
    def test_a_state_without_a_readable_flag_is_an_error(self, new, parts) -> None:
        """It would turn everything off, so the previous flags stay."""
        client = new()
        client.load_state(state(FLAG))
        with pytest.raises(ValueError, match="No part of it can be read: the flag"):
            client.load_state(state(*parts))

        assert client.is_enabled("whole")

    def test_parts_that_conflict_are_an_error(self, new, monkeypatch) -> None:
        """With the engine's message about the whole."""
        monkeypatch.setattr(_salvage.Mender, "_readable", lambda *_: True)
        with pytest.raises(ValueError, match="Failed to parse JSON"):
            new().load_state(state(FLAG, 3))


class TestCost:
    def test_a_valid_state_is_parsed_once_by_the_engine(
        self, new, parses, monkeypatch
    ) -> None:
        """Python does not parse it."""
        client = new()
        parsed = parses(client)
        monkeypatch.setattr(_salvage, "salvage", None)
        client.load_state(state(FLAG))

        assert [state(FLAG).encode()] == parsed

    def test_a_broken_flag_among_many_costs_a_few_parses(self, new, parses) -> None:
        """Flags are tried in chunks, and one by one only in a rejected chunk."""
        flags = [{**FLAG, "name": f"f{i}"} for i in range(2000)]
        flags[777] = {**flags[777], "variants": 3}
        client = new()
        parsed = parses(client)
        client.load_state(state(*flags))

        assert client.is_enabled("f1999")
        assert len(parsed) == 2 + 2000 // _salvage.CHUNK + _salvage.CHUNK
