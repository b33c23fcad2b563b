"""
Checks of custom strategies, made before the engine is loaded.

The engine rejects all flags if one strategy has the wrong form.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from serverless_flags._settings.checks import is_async
from serverless_flags.exceptions import ConfigurationError

FORM = "apply(parameters, context)"


def check_strategies(setting: str, value: Any) -> Mapping[str, Any]:
    """Return custom strategies by name after checking each of them."""
    if not isinstance(value, Mapping):
        message = f"{setting} must map strategy names to strategies"
        raise ConfigurationError(message)
    for name, strategy in value.items():
        _check(setting, name, strategy)
    return value


def _check(setting: str, name: Any, strategy: Any) -> None:
    """Raise ConfigurationError unless the engine can call ``strategy``."""
    if not isinstance(name, str):
        message = f"{setting} has the key {name!r}: use the strategy's name in Unleash"
        raise ConfigurationError(message)
    what = f"{setting}[{name!r}]"
    if isinstance(strategy, type):
        made = strategy.__name__
        message = f"{what} is the class {made}; pass an instance: {made}()"
        raise ConfigurationError(message)
    apply = getattr(strategy, "apply", None)
    if not callable(apply):
        message = f"{what} has no method {FORM}, which returns whether the flag is on"
        raise ConfigurationError(message)
    if is_async(apply):
        message = f"{what}: {FORM} is called and never awaited: write def, not async"
        raise ConfigurationError(message)
    if not _takes_both(apply):
        message = (
            f"{what}: apply must take exactly two arguments, {FORM}, as UnleashClient 6"
            " calls it; before that it was apply(context)"
        )
        raise ConfigurationError(message)


def _takes_both(apply: Any) -> bool:
    """Return whether ``apply`` has two parameters and can be called with both."""
    try:
        signature = inspect.signature(apply)
        signature.bind({}, {})
    except (TypeError, ValueError):  # wrong parameters, or no readable signature
        return False
    return len(signature.parameters) == len(("parameters", "context"))
