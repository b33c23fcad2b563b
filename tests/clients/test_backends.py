"""Which client a setting names, and the one for tests."""

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
        """It has a server, and tells it which engine evaluates."""
        opened = backend(url="http://127.0.0.1:9/api")
        assert "" == opened.upstream.engine_version
        client = opened.load()

        assert isinstance(client, UnleashFlagClient)
        assert client.engine_version == opened.upstream.engine_version != ""
        assert opened.read_snapshot is not None

    def test_unleash_without_a_url(self) -> None:
        """It has no server; a snapshot may be all there is."""
        opened = backend()

        assert opened.upstream is None
        assert keeps_state(opened.load())

    def test_lean_with_a_url(self) -> None:
        """The same server, asked in the same words."""
        opened = backend(client="lean", url="http://127.0.0.1:9/api")
        client = opened.load()

        assert isinstance(client, LeanClient)
        assert client.engine_version == opened.upstream.engine_version != ""

    def test_opening_imports_no_sdk(self) -> None:
        """UnleashClient costs a cold start 200 ms: it is imported by ``load``."""
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
        """It looks after itself."""
        opened = backend(client="memory")

        assert isinstance(opened.load(), MemoryClient)
        assert (None, None) == (opened.upstream, opened.read_snapshot)

    def test_an_object(self) -> None:
        """It is the client, as it is."""
        client = MemoryClient()
        opened = backend(client=client)

        assert client is opened.load()
        assert opened.upstream is None


class TestMemory:
    def test_a_flag_is_what_the_test_says(self) -> None:
        """On, off, unknown; and it may change."""
        client = MemoryClient({"on": True, "off": False})
        assert client.is_enabled("on")
        assert not client.is_enabled("off")
        assert not client.is_enabled("unknown")
        client.set("on", False)

        assert not client.is_enabled("on")
        assert not keeps_state(client)

    def test_the_flags_are_the_clients_own(self) -> None:
        """A mapping that is given is not changed, nor heeded later."""
        flags = {"a": True}
        client = MemoryClient(flags)
        client.set("a", False)
        flags["a"] = True

        assert {"a": True} == flags
        assert not client.is_enabled("a")

    @pytest.mark.parametrize("answer", [True, False])
    def test_the_fallback_answers_for_unknown_flags_only(self, answer) -> None:
        """As UnleashClient does it, with the name and the context."""
        asked = []
        client = MemoryClient({"off": False})

        def fallback(name, context):
            asked.append((name, context))
            return answer

        assert not client.is_enabled("off", {}, fallback)
        assert answer is client.is_enabled("unknown", {"userId": "7"}, fallback)
        assert [("unknown", {"userId": "7"})] == asked

    def test_a_variant_is_completed(self) -> None:
        """The test writes what matters to it."""
        red = {"name": "red", "payload": {"type": "string", "value": "#f00"}}
        client = MemoryClient({"colour": red, "none": {"enabled": False}, "on": True})

        assert {**red, "enabled": True, "feature_enabled": True} == client.get_variant(
            "colour"
        )
        assert client.is_enabled("colour")
        assert not client.is_enabled("none")
        assert {**DISABLED, "feature_enabled": True} == client.get_variant("on")
        assert DISABLED == client.get_variant("unknown")

    def test_it_remembers_what_was_asked(self) -> None:
        """How often each flag, and in which contexts."""
        client = MemoryClient({"a": True})
        client.is_enabled("a", {"userId": "7"})
        client.get_variant("a")
        client.is_enabled("b", None)

        assert {"a": 2, "b": 1} == client.evaluations
        assert [{"userId": "7"}, {}, {}] == client.contexts

    @pytest.mark.parametrize("value", ["blue", 7, None, ["blue"], 1.0])
    def test_a_value_is_a_bool_or_a_variant(self, value) -> None:
        """Anything else is refused where it is given; the error names the flag."""
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
        """As with UnleashClient; the log shows the fault."""
        assert MemoryClient().is_enabled("unknown", None, fallback) is False
        assert 1 == len(caplog.messages)

    def test_no_properties_are_none(self) -> None:
        """A context is what the function gives."""
        client = MemoryClient({"a": True})

        assert client.is_enabled("a", {"properties": None})
        assert [{"properties": None}] == client.contexts

    def test_a_remembered_context_is_a_copy(self) -> None:
        """What the function does with it later is not what was asked."""
        context = {"userId": "7"}
        client = MemoryClient()
        client.is_enabled("a", context)
        context["userId"] = "8"

        assert [{"userId": "7"}] == client.contexts
