"""Hook implementations: registered with pluggy, called without its loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from serverless_flags._passing import passes
from serverless_flags._plugins.checks import check_implementation
from serverless_flags.exceptions import PluginError
from serverless_flags.hookspecs import PROJECT, HookSpecs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Bound:
    """One implementation of one hook, ready to be called without pluggy's loop."""

    __slots__ = ("arguments", "call", "plugin")

    def __init__(
        self, plugin: str, call: Callable[..., Any], arguments: tuple[str, ...]
    ) -> None:
        self.plugin, self.call, self.arguments = plugin, call, arguments

    def __call__(self, **given: Any) -> Any:
        return self.call(*[given[name] for name in self.arguments])


def new_manager() -> pluggy.PluginManager:
    """Return a plugin manager with the hook specifications and no plugins."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HookSpecs)
    return manager


def register(manager: pluggy.PluginManager, plugin: Any, name: str) -> str:
    """
    Register a plugin and return the name under which it is registered.

    Raises:
        PluginError: when it does not match the specification; the message says what to
            change.
    """
    while manager.has_plugin(name):
        name += "+"  # two observers of one class
    try:
        manager.register(plugin, name)
        manager.check_pending()
        for caller in manager.get_hookcallers(plugin) or ():
            for impl in caller.get_hookimpls():
                if impl.plugin is plugin:
                    check_implementation(plugin, impl)
    except Exception as error:
        if passes(error):
            raise
        reason = _explain(plugin, error)
        message = f"plugin {name!r} does not fit the hook specification: {reason}"
        raise PluginError(message) from error
    return name


def _explain(plugin: object, error: Exception) -> str:
    if not isinstance(error, pluggy.PluginValidationError):
        return str(error)
    from serverless_flags._plugins.mistakes import explain  # only after a mistake

    return explain(plugin) or str(error)


def implementations(manager: pluggy.PluginManager, hook: str) -> list[Bound]:
    """Return a hook's implementations in calling order: the last registered first."""
    caller = getattr(manager.hook, hook)
    return [
        Bound(impl.plugin_name, impl.function, tuple(impl.argnames))
        for impl in reversed(caller.get_hookimpls())
    ]


def by_position(
    hooks: Sequence[Bound], *arguments: str
) -> list[tuple[Callable[..., Any], Bound]]:
    """Return hooks of the hot path with a function to call each by position."""
    return [
        (
            hook.call
            if hook.arguments == arguments
            else _reordered(hook, [arguments.index(name) for name in hook.arguments]),
            hook,
        )
        for hook in hooks
    ]


def _reordered(hook: Bound, positions: Sequence[int]) -> Callable[..., Any]:
    if not positions:
        return lambda *_given: hook.call()
    return lambda *given: hook.call(*[given[position] for position in positions])


def hook_names() -> list[str]:
    """Return the names of all hooks."""
    return [name for name in vars(HookSpecs) if not name.startswith("_")]
