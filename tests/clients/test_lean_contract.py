"""
Undocumented parts of yggdrasil-engine that the lean client uses.

If a new version breaks one of these tests, `clients/_library.py` has to be adapted.
"""

from __future__ import annotations

import ctypes
import json

import pytest
import yggdrasil_engine
from UnleashClient import _context
from yggdrasil_engine import custom_strategy
from yggdrasil_engine.engine import UnleashEngine

from serverless_flags.clients import _context as context_module
from serverless_flags.clients import _engine as engine_module
from serverless_flags.clients import _library as library_module
from serverless_flags.clients import _strategies
from serverless_flags.clients._library import EngineLibrary
from serverless_flags.clients.lean import LeanClient

TEXT, POINTER, ANSWER = ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char)
FUNCTIONS = {
    "check_enabled": [POINTER, TEXT, TEXT, TEXT],
    "check_variant": [POINTER, TEXT, TEXT, TEXT],
    "count_toggle": [POINTER, TEXT, ctypes.c_bool],
    "count_variant": [POINTER, TEXT, TEXT],
    "list_known_toggles": [POINTER],
    "should_emit_impression_event": [POINTER, TEXT],
    "take_state": [POINTER, TEXT],
}
FLAG = {"name": "flag", "enabled": True, "strategies": []}


@pytest.fixture(name="engine")
def _engine_of_one_flag():
    engine = UnleashEngine()
    engine.take_state(json.dumps({"version": 2, "features": [FLAG]}))
    return engine


@pytest.fixture(name="answer")
def _answer(engine):
    """Return a function that calls the library and returns the answer's bytes."""

    def answer(function, *arguments):
        pointer = getattr(engine.lib, function)(engine.state, *arguments)
        text = ctypes.cast(pointer, TEXT).value
        engine.lib.free_response(pointer)
        return text

    return answer


class TestLibrary:
    def test_it_is_a_ctypes_library_with_a_pointer(self, engine) -> None:
        """Each engine has `UnleashEngine.lib` and `UnleashEngine.state`."""
        assert isinstance(engine.lib, ctypes.CDLL)
        assert isinstance(engine.state, int)
        assert engine.state != UnleashEngine().state

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_the_functions_have_the_expected_arguments(self, engine, name) -> None:
        """Argument by argument; each returns an answer that has to be freed."""
        function = getattr(engine.lib, name)

        assert FUNCTIONS[name] == function.argtypes
        assert ANSWER == function.restype
        assert ([POINTER], None) == (
            engine.lib.free_response.argtypes,
            engine.lib.free_response.restype,
        )

    def test_functions_of_one_engine_work_for_another(self, engine) -> None:
        """They belong to one library; only the pointer identifies the engine."""
        library = EngineLibrary(UnleashEngine())

        check = library.check_enabled
        assert library.read(check(engine.state, b"flag", b"{}", b"{}")) is True

    def test_a_new_argument_raises_an_error(self, engine) -> None:
        """The types come from the engine, so too few arguments do not crash."""
        engine.lib.check_enabled.argtypes = [POINTER, TEXT, TEXT, TEXT, TEXT]
        library = EngineLibrary(engine)

        with pytest.raises(TypeError):
            library.check_enabled(engine.state, b"flag", b"{}", b"{}")

    def test_an_evaluation_keeps_the_interpreters_lock(self, engine) -> None:
        """A parse releases it: a bit of the ``ctypes`` type decides."""
        library = EngineLibrary(engine)
        keeps = {
            name: bool(type(function)._flags_ & ctypes._FUNCFLAG_PYTHONAPI)
            for name, function in vars(library).items()
            if isinstance(function, ctypes._CFuncPtr)
        }

        releasing = {name for name, kept in keeps.items() if not kept}
        assert {"load_state", "list_flags"} == releasing
        assert 9 == len(keeps)

    def test_each_answer_is_freed(self, engine, monkeypatch) -> None:
        """Once, whether it is read or not."""
        client, freed = LeanClient(app_name="checkout"), []
        client.load_state(json.dumps({"version": 2, "features": [FLAG]}))
        library, free = client._library, client._library.free
        monkeypatch.setattr(library, "free", lambda it: (freed.append(it), free(it)))
        client.is_enabled("flag")
        assert 2 == len(freed)
        client.get_variant("flag")
        assert 5 == len(freed)
        with pytest.raises(ValueError, match="Failed to parse JSON"):
            library.read(library.check_enabled(engine.state, b"flag", b"{", b"{}"))
        assert 6 == len(freed)


class TestEngine:
    def test_this_version_is_known(self) -> None:
        """An unknown version makes the client slower: check it, then add it."""
        assert yggdrasil_engine.__yggdrasil_core_version__ in engine_module.KNOWN
        assert engine_module.Engine is engine_module.engine_class()

    @pytest.mark.parametrize("name", engine_module.ARGUMENTS)
    def test_the_arguments_are_those_of_unleashengine(self, engine, name) -> None:
        """One by one, because a wrong one would crash the process."""
        declared = [getattr(ctypes, kind) for kind in engine_module.ARGUMENTS[name]]

        assert declared == list(getattr(engine.lib, name).argtypes or ())

    def test_an_engine_that_was_never_created_frees_nothing(self) -> None:
        """As when the library cannot be loaded."""
        engine = engine_module.Engine.__new__(engine_module.Engine)

        assert not hasattr(engine, "state")
        engine.__del__()

    def test_another_version_is_used_with_its_own_layer(self, monkeypatch) -> None:
        """It evaluates and counts as well."""
        version = "__yggdrasil_core_version__"
        monkeypatch.setattr(yggdrasil_engine, version, "99.0.0")
        client = LeanClient(app_name="checkout")
        client.load_state(json.dumps({"version": 2, "features": [FLAG]}))

        assert UnleashEngine is engine_module.engine_class()
        assert client.is_enabled("flag")
        assert 1 == client.drain_counts()["toggles"]["flag"]["yes"]


class TestAnswers:
    def test_common_answers_have_the_expected_form(self, answer) -> None:
        """Otherwise every answer would be parsed: correct, but slow."""
        off = json.dumps({"version": 2, "features": [{**FLAG, "enabled": False}]})
        seen = [answer("check_enabled", name, b"{}", b"{}") for name in (b"flag", b"x")]
        answer("take_state", off.encode())
        seen.append(answer("check_enabled", b"flag", b"{}", b"{}"))

        assert list(library_module._COMMON_ANSWERS) == [seen[0], seen[2], seen[1]]
        for text, value in library_module._COMMON_ANSWERS.items():
            assert value is json.loads(text)["value"]

    def test_an_error_has_a_message(self, answer) -> None:
        """A status and a message."""
        fields = json.loads(answer("check_enabled", b"flag", b"{", b"{}"))

        assert "Error" == fields["status_code"]
        assert fields["error_message"]

    def test_a_partly_loaded_state_is_reported(self, answer) -> None:
        """Its message differs from that of a rejected state."""
        odd = {"contextName": "x", "operator": "WAT", "values": []}
        flag = {**FLAG, "strategies": [{"name": "default", "constraints": [odd]}]}
        body = json.dumps({"version": 2, "features": [flag]})
        fields = json.loads(answer("take_state", body.encode()))

        assert fields["error_message"].startswith(library_module.PARTLY_LOADED)

    def test_known_flags_have_a_name(self, answer) -> None:
        """The nearest name of an unknown flag is looked up among them."""
        value = json.loads(answer("list_known_toggles"))["value"]

        assert ["flag"] == [known["name"] for known in value]

    def test_a_variant_has_these_fields(self, answer) -> None:
        """And the payload only if there is one."""
        payload = {"type": "string", "value": "#f00"}
        variants = [{"name": "red", "weight": 1000, "payload": payload}]
        flag = {**FLAG, "strategies": [{"name": "default"}], "variants": variants}
        answer("take_state", json.dumps({"version": 2, "features": [flag]}).encode())
        value = json.loads(answer("check_variant", b"flag", b"{}", b"{}"))["value"]

        assert {
            "name": "red",
            "payload": payload,
            "enabled": True,
            "featureEnabled": True,
        } == value


class TestCounts:
    def test_an_engine_without_flags_counts(self) -> None:
        """Counting needs no state, and loading a state does not change the counts."""
        counting_engine = UnleashEngine()
        library = EngineLibrary(counting_engine)
        library.free(library.count_toggle(counting_engine.state, b"a", True))
        library.free(library.count_variant(counting_engine.state, b"a", b"red"))
        counted = counting_engine.get_metrics()["toggles"]

        assert {"a": {"yes": 1, "no": 0, "variants": {"red": 1}}} == counted
        assert counting_engine.get_metrics() is None


class TestStrategies:
    @pytest.mark.parametrize(
        "body",
        [
            {
                "features": [
                    {**FLAG, "strategies": [{"name": "default"}, {"name": "mine"}]},
                    {**FLAG, "name": "other"},
                ]
            },
            {
                "events": [
                    {
                        "type": "hydration",
                        "features": [
                            {**FLAG, "strategies": [{"name": "mine"}]},
                            {**FLAG, "name": "b", "strategies": [{"name": "mine"}]},
                        ],
                    },
                    {"type": "feature-removed", "featureName": "flag"},
                    {
                        "type": "feature-updated",
                        "feature": {
                            **FLAG,
                            "name": "c",
                            "strategies": [
                                {"name": "yours", "parameters": {"strategies": "x"}}
                            ],
                        },
                    },
                ]
            },
        ],
    )
    def test_definitions_equal_those_of_the_engine(self, body) -> None:
        """This package's parse lets other threads run, with the same result."""
        text = json.dumps(body)
        theirs, mine = UnleashEngine(), UnleashEngine()
        theirs.custom_strategy_handler.update_strategies(text)
        _strategies.define(mine, text)

        assert theirs.custom_strategy_handler.strategy_definitions
        assert (
            theirs.custom_strategy_handler.strategy_definitions
            == mine.custom_strategy_handler.strategy_definitions
        )

    def test_results_are_numbered_and_unknown_ones_false(self) -> None:
        """The engine takes ``customStrategy1``; a missing one counts as False."""
        flag = {**FLAG, "strategies": [{"name": "mine", "parameters": {}}]}
        body = json.dumps({"version": 2, "features": [flag]})
        engine = UnleashEngine()
        engine.take_state(body)
        handler = engine.custom_strategy_handler
        library = EngineLibrary(engine)

        def check(results):
            address = library.check_enabled(engine.state, b"flag", b"{}", results)
            return library.read(address)

        assert {"customStrategy1": False} == handler.evaluate_custom_strategies(
            "flag", {}
        )
        assert check(b'{"customStrategy1": true}')
        assert not check(b'{"customStrategy1": false}')
        assert not check(b"{}")

    def test_the_standard_ones_have_a_name(self) -> None:
        """The private list, and the function that reads both kinds of state."""
        assert "flexibleRollout" in custom_strategy._STANDARD_STRATEGIES
        assert [FLAG] == custom_strategy.get_features_json({"features": [FLAG]})


class TestContext:
    def test_the_fields_are_those_of_unleashclient(self) -> None:
        """All other fields become properties."""
        assert context_module.FIELDS == set(_context.BASE_CONTEXT_FIELDS)
