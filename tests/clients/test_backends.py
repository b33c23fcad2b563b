"""Which client a setting names, and the client for tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from serverless_flags import ConfigurationError
from serverless_flags._protocols import keeps_state
from serverless_flags._settings import load_settings
from serverless_flags.clients import open_backend
from serverless_flags.clients.lean import LeanClient
from serverless_flags.clients.memory import DISABLED, MemoryClient
from serverless_flags.clients.unleash import UnleashFlagClient


def backend(**given):
    return open_backend(load_settings(given, {}), "checkout")


class TestBackends:
    def test_unleash_with_a_url(self) -> None:
        """It has a server, and reports the engine's version to it."""
        opened = backend(url="http://127.0.0.1:9/api")
        assert "" == opened.upstream.engine_version
        client = opened.load()

        assert isinstance(client, UnleashFlagClient)
        assert client.engine_version == opened.upstream.engine_version != ""
        assert opened.read_snapshot is not None

    def test_unleash_without_a_url(self) -> None:
        """It has no server; a snapshot may be the only source."""
        opened = backend()

        assert opened.upstream is None
        assert keeps_state(opened.load())

    def test_lean_with_a_url(self) -> None:
        """It uses the same server and the same requests."""
        opened = backend(client="lean", url="http://127.0.0.1:9/api")
        client = opened.load()

        assert isinstance(client, LeanClient)
        assert client.engine_version == opened.upstream.engine_version != ""

    def test_opening_imports_no_sdk(self) -> None:
        """UnleashClient takes 200 ms of a cold start, so only ``load`` imports it."""
        program = (
            "import sys\n"
            "from serverless_flags._settings import load_settings\n"
            "from serverless_flags.clients import open_backend\n"
            "url = {'url': 'http://127.0.0.1:9/api'}\n"
            "open_backend(load_settings(url, {}), 'checkout')\n"
            "print({'UnleashClient', 'yggdrasil_engine'} & {*sys.modules})\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )

        assert "set()" == run.stdout.strip()

    def test_memory(self) -> None:
        """It has no server."""
        opened = backend(client="memory")

        assert isinstance(opened.load(), MemoryClient)
        assert (None, None) == (opened.upstream, opened.read_snapshot)

    def test_an_object(self) -> None:
        """The object itself is the client."""
        client = MemoryClient()
        opened = backend(client=client)

        assert client is opened.load()
        assert opened.upstream is None


class TestMemory:
    def test_a_flag_is_what_the_test_sets(self) -> None:
        """On, off or unknown; and it may be changed."""
        client = MemoryClient({"on": True, "off": False})
        assert client.is_enabled("on")
        assert not client.is_enabled("off")
        assert not client.is_enabled("unknown")
        client.set("on", False)

        assert not client.is_enabled("on")
        assert not keeps_state(client)

    def test_the_flags_are_copied(self) -> None:
        """A given mapping is not changed, and later changes to it have no effect."""
        flags = {"a": True}
        client = MemoryClient(flags)
        client.set("a", False)
        flags["a"] = True

        assert {"a": True} == flags
        assert not client.is_enabled("a")

    @pytest.mark.parametrize("answer", [True, False])
    def test_the_fallback_is_used_for_unknown_flags_only(self, answer) -> None:
        """It gets the name and the context, as with UnleashClient."""
        asked = []
        client = MemoryClient({"off": False})

        def fallback(name, context):
            asked.append((name, context))
            return answer

        assert not client.is_enabled("off", {}, fallback)
        assert answer is client.is_enabled("unknown", {"userId": "7"}, fallback)
        assert [("unknown", {"userId": "7"})] == asked

    def test_a_variant_is_completed(self) -> None:
        """A test writes only the keys that matter to it."""
        red = {"name": "red", "payload": {"type": "string", "value": "#f00"}}
        client = MemoryClient({"colour": red, "none": {"enabled": False}, "on": True})

        assert {**red, "enabled": True, "feature_enabled": True} == client.get_variant(
            "colour"
        )
        assert client.is_enabled("colour")
        assert not client.is_enabled("none")
        assert {**DISABLED, "feature_enabled": True} == client.get_variant("on")
        assert DISABLED == client.get_variant("unknown")

    def test_it_records_evaluations(self) -> None:
        """How often each flag was evaluated, and in which contexts."""
        client = MemoryClient({"a": True})
        client.is_enabled("a", {"userId": "7"})
        client.get_variant("a")
        client.is_enabled("b", None)

        assert {"a": 2, "b": 1} == client.evaluations
        assert [{"userId": "7"}, {}, {}] == client.contexts

    @pytest.mark.parametrize("value", ["blue", 7, None, ["blue"], 1.0])
    def test_a_value_is_a_bool_or_a_variant(self, value) -> None:
        """Any other value is rejected at once; the error names the flag."""
        client = MemoryClient({"colour": True})
        for give in (
            lambda: MemoryClient({"colour": value}),
            lambda: client.set("colour", value),
        ):
            with pytest.raises(ConfigurationError, match="'colour' cannot be") as why:
                give()
            assert "a variant such as {'name': 'blue'}" in str(why.value)

        assert client.is_enabled("colour")

    def test_flags_are_a_mapping(self) -> None:
        """Of names to values."""
        with pytest.raises(ConfigurationError, match="must map names to values"):
            MemoryClient("simpleFlag")

    @pytest.mark.parametrize("fallback", [True, lambda *_: 1 / 0])
    def test_a_fallback_that_fails_leaves_the_flag_off(self, fallback, caplog) -> None:
        """As with UnleashClient; the failure is logged."""
        assert MemoryClient().is_enabled("unknown", None, fallback) is False
        assert 1 == len(caplog.messages)

    def test_no_context_is_an_empty_one(self) -> None:
        """A recorded context has what the function passed."""
        client = MemoryClient({"a": True})

        assert client.is_enabled("a", {"properties": None})
        assert [{"properties": None}] == client.contexts

    def test_a_recorded_context_is_a_copy(self) -> None:
        """Later changes by the function do not affect it."""
        context = {"userId": "7"}
        client = MemoryClient()
        client.is_enabled("a", context)
        context["userId"] = "8"

        assert [{"userId": "7"}] == client.contexts
