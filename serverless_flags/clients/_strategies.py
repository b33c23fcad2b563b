"""Custom strategies: whether one fits, and which flags have some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serverless_flags._foreign import passes
from serverless_flags._report import logger
from serverless_flags.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORM = "apply(self, parameters, context) that returns a bool"


def check_strategies(strategies: Mapping[str, Any]) -> None:
    """
    Raise an error for the first custom strategy that the engine could not call.

    Raises:
        ConfigurationError: it names the strategy, what is wrong and the cure.
    """
    for name, strategy in strategies.items():
        why = _misfit(name, strategy)
        if why is not None:
            raise ConfigurationError(why)


def fitting(strategies: Mapping[str, Any]) -> dict[str, Any]:
    """Return the strategies that the engine can call; warn of each other one."""
    found = {}
    for name, strategy in strategies.items():
        why = _misfit(name, strategy)
        if why is None:
            found[name] = strategy
        else:
            logger.warning("%s; until then it is off where it is used", why)
    return found


def define(engine: Any, body: str) -> None:
    """
    Tell the engine which flags have custom strategies, as its ``take_state`` does.

    But let other threads run meanwhile: at 5,000 flags its parse holds the
    interpreter's lock for 50 ms.
    """
    from yggdrasil_engine import custom_strategy  # imported with the engine

    standard = frozenset(custom_strategy._STANDARD_STRATEGIES)  # noqa: SLF001  reason: held by the contract test

    def reduce(part: dict[str, Any]) -> dict[str, Any]:
        strategies = part.get("strategies")
        if not isinstance(strategies, list):
            return part  # no flag; a parameter may have that name
        custom = [s for s in strategies if _name_of(s) not in standard]
        return {"name": _name_of(part), "strategies": custom}

    state = json.loads(body, object_hook=reduce, parse_int=_unread)
    features = custom_strategy.get_features_json(state)
    engine.custom_strategy_handler.strategy_definitions = {
        name: feature["strategies"]
        for feature in features or ()
        if (name := _name_of(feature)) is not None and feature.get("strategies")
    }


def _name_of(part: Any) -> str | None:
    name = part.get("name") if isinstance(part, dict) else None
    return name if isinstance(name, str) else None


def _unread(_digits: str) -> int:
    """Stand for a number: nobody looks at them here, and some are too long to read."""
    return 0


def _misfit(name: Any, strategy: Any) -> str | None:
    """Return what is wrong with a custom strategy; None when the engine can call it."""
    which = f"the custom strategy {name!r}"
    if not isinstance(name, str):
        return f"{which} must have a text as its name, the one that Unleash shows"
    try:
        apply = getattr(strategy, "apply", None)
        if not callable(apply):
            return f"{which} has no apply method; it needs {_FORM}"
        return _misfit_of(apply, strategy, which)
    except Exception as error:  # a proxy of the user's may raise anything
        if passes(error):
            raise
        return f"{which} cannot be looked at ({type(error).__name__}); it needs {_FORM}"


def _misfit_of(apply: Any, strategy: Any, which: str) -> str | None:
    import inspect  # comes with the engine anyway; where there are strategies

    if inspect.iscoroutinefunction(apply):
        return f"{which} has an async apply; an evaluation cannot await: write a def"
    signature = inspect.signature(apply)
    fits = len(signature.parameters) == 2  # noqa: PLR2004  reason: parameters and context, as the engine counts
    if fits:
        try:
            signature.bind({}, {})
        except TypeError:
            fits = False
    if fits:
        return None
    if isinstance(strategy, type):
        return f"{which} is a class; give an instance: {strategy.__name__}()"
    return f"{which} has apply{signature}, as older clients did; it needs {_FORM}"
