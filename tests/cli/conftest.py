"""An adapter and emulator for these tests, so that the demo needs no real adapter."""

from __future__ import annotations

import importlib.metadata
import json
import urllib.request
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags.exceptions import EmulatorError
from serverless_flags.hookspecs import hookimpl
from serverless_flags.testing import Emulator, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


EXAMPLE = """
def {function}(is_enabled):
    state = "enabled" if is_enabled("simpleFlag") else "disabled"
    return {{"message": f"Feature flag 'simpleFlag' is {{state}}"}}
"""


class InProcess(Emulator):
    """An instance in this process: a function that gets ``is_enabled``."""

    runtime = "in-process 1.0"
    output = "it printed this"

    def start(self) -> None:
        """Import the function."""
        namespace: dict[str, Any] = {}
        exec(self.module_path.read_text(), namespace)
        if self.function not in namespace:
            message = f"no function {self.function!r}"
            raise EmulatorError(message)
        self._called: Callable[..., Any] = namespace[self.function]
        self._counts = {"yes": 0, "no": 0}

    def terminate(self) -> Exit:
        """Send the counts, as a session would."""
        toggles = {"simpleFlag": self._counts}
        bucket = {"start": 0, "stop": 0, "toggles": toggles}
        app_name = self.environ["UNLEASH_APP_NAME"]
        metrics = {"appName": app_name, "bucket": bucket}
        self._http("/client/metrics", json.dumps(metrics).encode())
        return Exit(0, 0.0, killed=False)

    def _request(self, *_request: object) -> tuple[int, str]:
        return 200, json.dumps(self._called(self._is_enabled))

    def _is_enabled(self, name: str) -> bool:
        features = json.loads(self._http("/client/features"))["features"]
        enabled = {feature["name"]: feature["enabled"] for feature in features}[name]
        self._counts["yes" if enabled else "no"] += 1
        return bool(enabled)

    def _http(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            self.environ["UNLEASH_URL"] + path,
            body,
            {"Authorization": self.environ["UNLEASH_API_TOKEN"]},
        )
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())


class Adapter:
    """An adapter that emulates the platforms with the given names."""

    def __init__(self, *platforms: str) -> None:
        self.platforms = platforms
        self.pythons: dict[str, str] = {}
        self.options: Mapping[str, str] = {}

    @hookimpl
    def emulate(
        self,
        platform_name: str,
        target: str,
        environ: Mapping[str, str],
        python: str,
        options: Mapping[str, str],
    ) -> Emulator | None:
        """Return an emulator if the adapter emulates this platform."""
        if platform_name not in self.platforms:
            return None
        self.pythons[platform_name] = python
        self.options = options
        return InProcess(target, environ=environ, python=python)


class EntryPoints:
    """Stands in for ``importlib.metadata.entry_points``: the adapters of a test."""

    def __init__(self) -> None:
        self._found: list[Any] = []

    def install(self, name: str, adapter: object) -> None:
        """Add an adapter; an exception given instead is raised when it is loaded."""

        def load() -> object:
            if isinstance(adapter, Exception):
                raise adapter
            return adapter

        self._found.append(SimpleNamespace(name=name, load=load))

    def __call__(self, *, group: str) -> list[Any]:
        """Return the adapters."""
        assert group == "serverless_flags"
        return self._found


@pytest.fixture(name="new_adapter")
def _new_adapter() -> type[Adapter]:
    return Adapter


@pytest.fixture(name="entry_points")
def _entry_points(monkeypatch: pytest.MonkeyPatch) -> EntryPoints:
    entry_points = EntryPoints()
    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    return entry_points


@pytest.fixture(name="adapter")
def _adapter(entry_points: EntryPoints) -> Adapter:
    adapter = Adapter("aws_lambda", "gcp_cloud_functions", "azure_functions")
    entry_points.install("everything", adapter)
    return adapter


@pytest.fixture(name="examples")
def _examples(tmp_path: Path) -> Path:
    examples = tmp_path / "examples"
    for file, function in (
        ("aws_lambda/handler.py", "handler"),
        ("gcp_cloud_functions/main.py", "hello"),
        ("azure_functions/function_app.py", "hello"),
    ):
        path = examples / file
        path.parent.mkdir(parents=True)
        path.write_text(EXAMPLE.format(function=function))
    return examples
