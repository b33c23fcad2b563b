"""Checks of plugins and of the values they return; messages name what is expected."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import TYPE_CHECKING

from serverless_flags._log import logger
from serverless_flags._settings.checks import MAX_TIMEOUT
from serverless_flags.exceptions import PluginError
from serverless_flags.hookspecs import PROJECT
from serverless_flags.platform import Invocation, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pluggy

_MARK = f"{PROJECT}_impl"
"""The attribute by which pluggy finds functions marked with ``hookimpl``."""


def kind(value: object) -> str:
    """Describe a value by its type, because its content may be the user's data."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a value of type {type(value).__name__}"


def check_implementation(plugin: object, impl: pluggy.HookImpl) -> None:
    """Raise PluginError when calling an implementation would not run its code."""
    hook, func = impl.function.__name__, impl.function
    if impl.hookwrapper or impl.wrapper:
        message = f"{hook} cannot be a hook wrapper"
        raise PluginError(message)
    if (
        inspect.iscoroutinefunction(func)
        or inspect.isgeneratorfunction(func)
        or inspect.isasyncgenfunction(func)
    ):
        message = f"{hook} is called and never awaited or iterated: write a plain def"
        raise PluginError(message)
    if isinstance(plugin, type) and isinstance(
        inspect.getattr_static(plugin, hook, None), FunctionType
    ):
        message = f"it is a class, whose {hook} needs an instance: {plugin.__name__}()"
        raise PluginError(message)


def warn_about_unmarked(name: str, plugin: object, hooks: Iterable[str]) -> bool:
    """Warn about unmarked methods with the name of a hook; return whether any exist."""
    unmarked = [hook for hook in hooks if _is_unmarked(getattr(plugin, hook, None))]
    if unmarked:
        logger.warning(
            "plugin %r: not marked as hooks and never called: %s; mark them with"
            " @serverless_flags.hookimpl",
            name,
            ", ".join(unmarked),
        )
    return bool(unmarked)


def _is_unmarked(attribute: object) -> bool:
    return callable(attribute) and getattr(attribute, _MARK, None) is None


def correct_facts(platform: Platform, plugin: str) -> None:
    """Replace each fact of a wrong type by its default, with a warning."""
    for fact, (fits, expected) in _FACTS.items():
        value = getattr(platform, fact)
        if fits(value):
            continue
        default = plugin if fact == "name" else getattr(Platform, fact)
        logger.warning(
            "plugin %r: %s of its platform is %s, not %s; going on with %r",
            plugin,
            fact,
            kind(value),
            expected,
            default,
        )
        setattr(platform, fact, default)


def mismatch(invocation: Invocation) -> str | None:
    """Return which field of an invocation has a wrong type; None: no field."""
    remaining, context = invocation.remaining_time, invocation.context
    if not (remaining is None or callable(remaining)):
        return f"an Invocation whose remaining_time is {kind(remaining)}, not callable"
    if not (callable(context) or isinstance(context, Mapping)):
        return (
            f"an Invocation whose context is {kind(context)}, not a mapping or callable"
        )
    return None


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_optional_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and value == value  # noqa: PLR0124  reason: only NaN differs from itself


def _is_grace(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= MAX_TIMEOUT


def _are_names(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(map(_is_name, value))


_A_BOOL = (_is_bool, "a bool")
_FACTS: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": (_is_name, "a non-empty string"),
    "specificity": (_is_number, "a number"),
    "function_name": (_is_optional_text, "a string or None"),
    "runs_between_invocations": _A_BOOL,
    "starts_client_at_wrap": _A_BOOL,
    "will_fork": _A_BOOL,
    "awaits_handlers": _A_BOOL,
    "ends_in_order": _A_BOOL,
    "shutdown_grace": (_is_grace, "a number of seconds, at most a week"),
    "passing_exceptions": (_are_names, "a tuple of qualified class names"),
}
