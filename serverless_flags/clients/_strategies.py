"""Custom strategies: those that the engine can call, and the flags that have some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serverless_flags._log import logger
from serverless_flags._settings.strategies import check_strategies
from serverless_flags.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


def fitting(strategies: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the strategies that the engine can call; warn of each other one.

    A session refuses them when it is made; a client may be made without one.
    """
    found: dict[str, Any] = {}
    for name, strategy in strategies.items():
        try:
            found.update(check_strategies("strategies", {name: strategy}))
        except ConfigurationError as error:
            logger.warning("%s; until then it is off where it is used", error)
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
