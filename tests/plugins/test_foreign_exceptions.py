"""A runtime's exceptions propagate out of each hook and of the discovery."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from serverless_flags import Platform, hookimpl

CLOUD = {"CLOUD": "1"}


INTERRUPTED = """
import interrupting

interrupting.interrupt(__name__)
detect_platform = interrupting.adapter.detect_platform
"""
"""The source of an adapter whose import may be interrupted."""


def _interrupting(where, error, platform):
    """Return a module whose adapter raises an error once, at one place."""
    places = [where]

    def interrupt(place: str) -> None:
        if place in places:
            places.remove(place)
            raise error

    class Adapter:
        @hookimpl
        def detect_platform(self):
            interrupt("detect_platform")
            return platform

        def __dir__(self):
            interrupt("__dir__")
            return super().__dir__()

    return SimpleNamespace(interrupt=interrupt, adapter=Adapter())


class TestRuntimeExceptions:
    @pytest.fixture(name="let")
    def _let(self, monkeypatch):
        """Let an exception of a runtime pass, for one test."""
        monkeypatch.setattr("serverless_flags._passing._names", frozenset())

        class RequestTimeoutError(Exception): ...

        name = f"{RequestTimeoutError.__module__}.{RequestTimeoutError.__qualname__}"

        class Cloud(Platform):
            name = "cloud"

        Cloud.passing_exceptions = (name,)
        return Cloud, RequestTimeoutError

    @pytest.mark.parametrize(
        ("hook", "arguments"),
        [
            ("prepare_function", (len, print)),
            ("connect_instance", ("wrap",)),
            ("read_invocation", ((), {})),
            ("begin_invocation", (object(),)),
            ("wait_after_response", (object(), bool)),
            ("end_invocation", (object(),)),
            ("after_flush", ("taken", 0.0)),
        ],
    )
    def test_they_propagate_out_of_each_hook(
        self, find, adapter, let, hook, arguments
    ) -> None:
        """The platform names these exceptions when it is selected."""
        cloud, timeout = let

        def interrupted(self):
            raise timeout

        interrupted.__name__ = hook
        setattr(cloud, hook, hookimpl(interrupted))
        mine = adapter()
        mine.platform = cloud()
        plugins = find(CLOUD, plugins=[mine])

        with pytest.raises(timeout):
            getattr(plugins, hook)(*arguments)

    @pytest.mark.parametrize(
        ("where", "environ"),
        [
            ("given_one", {}),
            ("serverless_flags_aws_lambda", {"AWS_LAMBDA_FUNCTION_NAME": "f"}),
            ("found_one", {}),
            ("__dir__", {}),
            ("detect_platform", {}),
        ],
    )
    @pytest.mark.parametrize("ends", [False, True])
    def test_an_interrupted_discovery_is_repeated(
        self, find, adapter, let, install, monkeypatch, where, environ, ends
    ) -> None:
        """Nothing is left half registered, wherever the exception is raised."""
        cloud, timeout = let
        mine = adapter()
        mine.platform = cloud()
        find(CLOUD, plugins=[mine])  # from now on its exceptions pass
        error = KeyboardInterrupt if ends else timeout
        module = _interrupting(where, error, mine.platform)
        monkeypatch.setitem(sys.modules, "interrupting", module)
        given = [where] if where == "given_one" else []
        if where.startswith("__") or where == "detect_platform":
            given = [module.adapter]
        else:
            found = "found" if where == "found_one" else None
            install(where, INTERRUPTED, entry_point=found)
        with pytest.raises(error):
            find(environ, plugins=given)

        assert mine.platform is find(environ, plugins=given).platform
