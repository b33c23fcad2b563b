"""Adapters and observers for one test, as an installed package provides them."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags import Platform, hookimpl
from serverless_flags._plugins.discovery import MARKERS, discover
from serverless_flags._plugins.dispatch import Plugins
from serverless_flags._settings import load_settings
from serverless_flags.hookspecs import HookSpecs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SESSION = "the session"
"""What hooks get as their session."""


class Adapter:
    """An adapter that detects its platform by one environment variable."""

    def __init__(
        self, name: str = "cloud", specificity: int = 0, variable: str = "CLOUD"
    ) -> None:
        self.platform = Platform()
        self.platform.name = name
        self.platform.specificity = specificity
        self.variable = variable
        self.asked: list[Mapping[str, str]] = []

    @hookimpl
    def detect_platform(self, environ: Mapping[str, str]) -> Platform | None:
        self.asked.append(environ)
        return self.platform if self.variable in environ else None


@pytest.fixture(name="adapter")
def _adapter() -> type[Adapter]:
    return Adapter


@pytest.fixture(name="find")
def _find() -> Callable[..., Plugins]:
    """Return a function that discovers the plugins of given settings."""

    def find(environ: Mapping[str, str] | None = None, **settings: Any) -> Plugins:
        return discover(load_settings(settings, {}), lambda: SESSION, environ or {})

    return find


@pytest.fixture(name="install")
def _install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Return a function that installs a module, also in place of a known adapter."""
    monkeypatch.syspath_prepend(str(tmp_path))
    installed: list[str] = []

    def install(module: str, source: str, *, entry_point: str | None = None) -> None:
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(dedent(source))
        installed.append(module)
        if entry_point is not None:
            metadata = tmp_path / f"{module}-1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(f"Name: {module}\nVersion: 1.0\n")
            text = f"[serverless_flags]\n{entry_point} = {module}\n"
            (metadata / "entry_points.txt").write_text(text)
        importlib.invalidate_caches()

    yield install
    for module in installed:
        sys.modules.pop(module, None)


@pytest.fixture(autouse=True)
def _no_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the real adapters, wherever they are installed."""
    for _, name in MARKERS:
        monkeypatch.setitem(sys.modules, f"serverless_flags_{name}", None)
    scan = importlib.metadata.entry_points

    def others(*, group: str) -> list[importlib.metadata.EntryPoint]:
        found = scan(group=group)
        return [p for p in found if not p.value.startswith("serverless_flags_")]

    monkeypatch.setattr(importlib.metadata, "entry_points", others)


HOOKS = {
    name: list(inspect.signature(hook).parameters)[1:]
    for name, hook in vars(HookSpecs).items()
    if not name.startswith("_")
}


@pytest.fixture(name="hooks")
def _hooks() -> dict[str, list[str]]:
    """Return the arguments of each hook, by its name."""
    return HOOKS


def listening(base=object, answers=None, **facts):
    """Return an object that implements every hook and records every call."""
    received: list[tuple[str, tuple]] = []

    def hook(name, arguments):
        namespace: dict = {}
        listed = ", ".join(arguments)
        exec(
            f"def {name}(self, {listed}): return record({name!r}, ({listed},))",
            {"record": record},
            namespace,
        )
        return hookimpl(namespace[name])

    def record(name, values):
        received.append((name, values))
        answer = (answers or {}).get(name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    hooks = {
        name: hook(name, arguments)
        for name, arguments in HOOKS.items()
        if name != "detect_platform"
    }
    plugin = type("Listener", (base,), {**hooks, **facts})()
    plugin.received = received
    return plugin


@pytest.fixture(name="calls")
def _calls():
    """Return a function that makes the `Plugins` of a platform and an observer."""

    def make(platform_answers=None, observer_answers=None):
        platform = listening(Platform, platform_answers, name="cloud")
        observer = listening(object, observer_answers)
        return (
            Plugins(platform, [("observer", observer)], lambda: SESSION),
            platform,
            observer,
        )

    return make


DOORBELL = """
    from serverless_flags import Platform, hookimpl

    class Cloud(Platform):
        name = {name!r}
        specificity = {specificity}

    asked = []

    @hookimpl
    def detect_platform(environ):
        asked.append(dict(environ))
        return Cloud() if {variable!r} in environ else None
"""


@pytest.fixture(name="adapter_source")
def _adapter_source() -> Callable[..., str]:
    """Return a function that writes the module of an adapter."""

    def write(
        name: str = "cloud", variable: str = "CLOUD", specificity: int = 0
    ) -> str:
        return DOORBELL.format(name=name, variable=variable, specificity=specificity)

    return write


class Observer:
    """A plugin that detects no platform."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    @hookimpl
    def after_flush(self, outcome: str) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(name="new_observer")
def _new_observer() -> type[Observer]:
    return Observer


@pytest.fixture(name="no_scan")
def _no_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when the entry points are scanned, which costs a cold start 40 ms."""

    def scan(**_group: str) -> None:
        message = "the entry points were scanned"
        raise AssertionError(message)

    monkeypatch.setattr(importlib.metadata, "entry_points", scan)
