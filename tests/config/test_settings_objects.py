"""Settings that are objects: clients, plugins, custom strategies and callables."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from serverless_flags import FlagSession
from serverless_flags._settings import CLIENTS, load_settings
from serverless_flags.testing import MemoryClient


class Client:
    """An object with the two methods of a flag client."""

    def is_enabled(self, *_args) -> bool:
        return False

    def get_variant(self, *_args) -> dict:
        return {}


class Strategy:
    """A custom strategy for UnleashClient 6."""

    def apply(self, parameters, context) -> bool:
        return True


async def coroutine(*_args) -> None:
    """Do nothing, asynchronously."""


class Awaited:
    """An object whose call returns a coroutine."""

    async def __call__(self) -> None: ...


class TestClient:
    @pytest.mark.parametrize("value", CLIENTS)
    def test_a_client_name_is_accepted(self, value) -> None:
        """Each client has a name."""
        assert value == load_settings({"client": value}, {}).client

    def test_a_client_object_is_accepted(self) -> None:
        """An object with both methods is a client."""
        client = Client()

        assert client is load_settings({"client": client}, {}).client

    def test_an_unknown_client_name_is_rejected(self, raised) -> None:
        """The message lists the known names."""
        assert (
            "SERVERLESS_FLAGS_CLIENT 'launchdarkly' is not a flag client;"
            " use 'unleash' or 'lean' or 'memory', or an object"
            == raised("client", "launchdarkly", "SERVERLESS_FLAGS_CLIENT")
        )

    @pytest.mark.parametrize(
        "value", [object(), SimpleNamespace(is_enabled=True, get_variant={})]
    )
    def test_an_object_without_the_methods_is_rejected(self, raised, value) -> None:
        """The message names the methods."""
        assert "is_enabled() and get_variant()" in raised("client", value)

    @pytest.mark.parametrize("value", [Client, MemoryClient])
    def test_a_class_is_rejected(self, raised, value) -> None:
        """Its methods would take the flag's name for ``self``."""
        name = value.__name__

        assert f"client is the class {name}; pass an instance: {name}(...)" == (
            raised("client", value)
        )


class TestObjects:
    def test_plugins_are_a_sequence_or_a_list_of_names(self) -> None:
        """In the environment they are dotted names, separated by commas."""
        plugin = object()
        environ = {"SERVERLESS_FLAGS_PLUGINS": "one, two.three,"}

        assert (plugin, "a.b") == load_settings(
            {"plugins": [plugin, "a.b"]}, {}
        ).plugins
        assert ("one", "two.three") == load_settings({}, environ).plugins

    @pytest.mark.parametrize(
        ("name", "value", "what"),
        [
            ("plugins", 3, "plugins must be a sequence of objects or dotted"),
            ("strategies", ["mine"], "strategies must map strategy names"),
            ("register", [], "register must be true or false"),
            ("context", {"userId": "7"}, "context must be a callable"),
            ("clock", 3.0, "clock must be a callable"),
            ("on_impression", "log", "on_impression must be a callable"),
            ("on_impression", coroutine, "on_impression must be a plain function"),
            ("clock", coroutine, "clock must be a plain function"),
            ("clock", Awaited(), "clock must be a plain function"),
        ],
    )
    def test_a_wrong_type_is_rejected(self, raised, name, value, what) -> None:
        """The message says what is expected."""
        assert raised(name, value).startswith(what)

    def test_objects_are_not_copied(self) -> None:
        """Strategies, the context and the clock are the user's own objects."""
        given_ones = {
            "strategies": {"mine": Strategy()},
            "context": dict,
            "clock": object,
        }
        settings = load_settings(given_ones, {})

        for name, value in given_ones.items():
            assert value is getattr(settings, name)


class Keyword:
    def apply(self, parameters, context=None) -> bool:
        return True


class Static:
    @staticmethod
    def apply(parameters, context) -> bool:
        return True


class Any:
    def apply(self, *args, **kwargs) -> bool:
        return True


class Old:
    def apply(self, context=None) -> bool:
        return True


class Three:
    def apply(self, parameters, context, more=None) -> bool:
        return True


class Named:
    def apply(self, *, parameters, context) -> bool:
        return True


class Coroutine:
    async def apply(self, parameters, context) -> bool:
        return True


class Unseen:
    """A callable without a readable signature, like some built-ins."""

    __signature__ = "none"

    def __call__(self, parameters, context) -> bool:
        return True


class TestStrategies:
    @pytest.mark.parametrize(
        "strategy",
        [
            Strategy(),
            Keyword(),
            Static(),
            Any(),
            SimpleNamespace(apply=partial(Three().apply, {})),
            Mock(),
        ],
    )
    def test_a_valid_strategy_is_accepted(self, strategy) -> None:
        """It has ``apply``, which can be called with parameters and context."""
        given = {"mine": strategy}

        assert given == load_settings({"strategies": given}, {}).strategies

    @pytest.mark.parametrize(
        "strategy", [Old(), Three(), Named(), SimpleNamespace(apply=Unseen())]
    )
    def test_an_invalid_strategy_is_rejected(self, raised, strategy) -> None:
        """The engine would reject all flags because of it."""
        message = raised("strategies", {"mine": strategy})

        assert message.startswith("strategies['mine']: apply must take exactly two")
        assert "apply(parameters, context)" in message

    @pytest.mark.parametrize(
        ("strategies", "what"),
        [
            ({"mine": object()}, "strategies['mine'] has no method apply(parameters,"),
            ({"mine": lambda p, c: True}, "strategies['mine'] has no method apply("),
            ({"mine": SimpleNamespace(apply=True)}, "strategies['mine'] has no method"),
            ({"mine": Strategy}, "strategies['mine'] is the class Strategy; pass an"),
            (
                {"mine": Coroutine()},
                "strategies['mine']: apply(parameters, context) is",
            ),
            (
                {7: Strategy()},
                "strategies has the key 7: use the strategy's name in Unleash",
            ),
            ({"a": Strategy(), "b": None}, "strategies['b'] has no method"),
        ],
    )
    def test_an_object_that_is_not_a_strategy_is_rejected(
        self, raised, strategies, what
    ) -> None:
        """The message names the strategy and what it needs."""
        assert raised("strategies", strategies).startswith(what)

    @pytest.mark.parametrize("client", ["unleash", "lean"])
    def test_the_engine_calls_an_accepted_strategy(self, client, tmp_path) -> None:
        """The engine loads the strategy, and its flag and others are evaluated."""
        body = (
            '{"version": 2, "features": ['
            '{"name": "mine", "enabled": true, "strategies": [{"name": "mine",'
            ' "parameters": {}}]}, {"name": "plain", "enabled": true,'
            ' "strategies": [{"name": "default"}]}]}'
        )
        (tmp_path / "flags.json").write_text(body)
        settings = {"client": client, "snapshot": tmp_path / "flags.json"}
        for strategy in (Strategy(), Keyword(), Static(), Any()):
            flags = FlagSession(**settings, strategies={"mine": strategy})
            with flags:
                answers = [flags.is_enabled(name) for name in ("mine", "plain")]

            assert [True, True] == answers
