"""Custom strategies: leave out invalid ones, and find the flags that use them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serverless_flags._log import logger
from serverless_flags._settings.strategies import check_strategies
from serverless_flags.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


def valid_strategies(strategies: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the strategies that the engine can call; warn about each other one.

    A session rejects invalid strategies at once, but a client can be made without one.
    """
    valid: dict[str, Any] = {}
    for name, strategy in strategies.items():
        try:
            valid.update(check_strategies("strategies", {name: strategy}))
        except ConfigurationError as error:
            logger.warning("%s; until then this strategy is off", error)
    return valid


def define(engine: Any, body: str) -> None:
    """
    Set the custom strategies of each flag in the engine, as its ``take_state`` does.

    Unlike ``take_state``, whose parse holds the interpreter's lock for 50 ms at 5,000
    flags, this lets other threads run.
    """
    from yggdrasil_engine import custom_strategy  # late, as the engine

    standard = frozenset(custom_strategy._STANDARD_STRATEGIES)  # noqa: SLF001  reason: the contract test verifies it

    def reduce(part: dict[str, Any]) -> dict[str, Any]:
        strategies = part.get("strategies")
        if not isinstance(strategies, list):
            return part  # not a flag: another field of the same name
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
    """Return 0 for any number: none is used here, and some are too long to parse."""
    return 0
