"""Explain a mistake in a plugin; imported only after one was found."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from serverless_flags.hookspecs import PROJECT, HookSpecs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def explain(plugin: object) -> str | None:
    """Name a plugin's unknown hook or argument, and list the known ones."""
    for name, func in _marked(plugin):
        specified = getattr(HookSpecs, name, None)
        if specified is None:
            hooks = [hook for hook in vars(HookSpecs) if not hook.startswith("_")]
            return f"there is no hook {name}{suggestion(name, hooks)}"
        known = list(inspect.signature(specified).parameters)[1:]
        for argument in _required(func):
            if argument not in known:
                what = f"{name} has no argument {argument}"
                return f"{what}{suggestion(argument, known)}"
    return None


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "did you mean" with the nearest name, and the list of known names."""
    known = sorted(set(known))
    near = get_close_matches(name.replace("-", "_"), known, 1)
    question = f"; did you mean {near[0]}?" if near else ";"
    return f"{question} there are {', '.join(known)}"


def _marked(plugin: object) -> Iterator[tuple[str, Any]]:
    """Yield the functions marked with ``hookimpl``, with the names of their hooks."""
    for attribute in dir(plugin):
        func = inspect.getattr_static(plugin, attribute, None)
        func = getattr(func, "__func__", func)
        options = getattr(func, f"{PROJECT}_impl", None)
        if isinstance(options, dict):
            yield options.get("specname") or attribute, getattr(plugin, attribute)


def _required(func: Any) -> list[str]:
    """Return the names of arguments without a default; hooks are called by name."""
    return [
        parameter.name
        for parameter in inspect.signature(func).parameters.values()
        if parameter.default is parameter.empty and parameter.name != "self"
    ]


def source(plugin: object) -> str:
    """Return where a plugin comes from: its distribution, else its module."""
    from importlib.metadata import entry_points  # 23 ms, for a message only

    module = getattr(plugin, "__name__", None)
    if not inspect.ismodule(plugin):
        module = type(plugin).__module__
    for point in entry_points(group=PROJECT):
        if point.module == module and point.dist is not None:
            return f"distribution {point.dist.name}"
    return f"module {module}"
