"""yggdrasil-engine's library, asked without the Python layer that lies above it."""

from __future__ import annotations

import json
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from serverless_flags._report import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTLY = "Engine state was updated"
"""How the engine begins when it took a state of which it cannot evaluate all."""


class Library:
    """
    The functions of the engine's library, and how to read their answers.

    ``UnleashEngine`` takes each answer apart with JSON, an enum and a generator, which
    is most of what its evaluations cost. Here the usual answers are known by heart.
    What we take of ``UnleashEngine`` beyond its documentation is all named, and held,
    in tests/clients/test_lean_contract.py.

    An evaluation keeps the interpreter's lock: it takes a microsecond or two, and who
    lets go of the lock gets it back from a busy thread 5 ms later, each time.

    Args:
        engine: an ``UnleashEngine`` or an `Engine`, any one.
    """

    def __init__(self, engine: Any) -> None:
        import ctypes  # comes with the engine, which is imported late

        lib = engine.lib
        keeping, releasing = ctypes.PYFUNCTYPE, ctypes.CFUNCTYPE

        def bind(prototype: Any, name: str) -> Any:
            # With the engine's own arguments: a new one would be missed, not misread.
            return prototype(ctypes.c_void_p, *getattr(lib, name).argtypes)((name, lib))

        self.check_enabled = bind(keeping, "check_enabled")
        self.check_variant = bind(keeping, "check_variant")
        self.should_emit = bind(keeping, "should_emit_impression_event")
        self.take_state = bind(releasing, "take_state")
        self.get_metrics = bind(keeping, "get_metrics")
        self.count_toggle = bind(keeping, "count_toggle")
        self.count_variant = bind(keeping, "count_variant")
        self.free = keeping(None, *lib.free_response.argtypes)(("free_response", lib))
        self._text = ctypes.c_char_p

    def read(self, answer: int) -> Any:
        """
        Return the value of an answer, and free it.

        None says that the engine does not know the flag.

        Raises:
            ValueError: when the engine failed; it says why.
        """
        text = self._text(answer).value
        self.free(answer)
        value = _BY_HEART.get(text, _UNUSUAL)
        return _parsed(text) if value is _UNUSUAL else value


class Spent:
    """
    Engines that nobody evaluates with any more.

    To free one takes 35 ms at 5,000 flags: not on the thread that happens to evaluate
    with it last.
    """

    def __init__(self) -> None:
        self._engines: deque[Any] = deque()

    def take(self, engine: Any, *, after: object) -> None:
        """Take an engine when nobody holds ``after`` any more."""
        weakref.finalize(after, self._engines.append, engine).atexit = False

    def free(self) -> None:
        """Free them on this thread."""
        self._engines.clear()


def load_state(
    library: Library, engine: Any, body: str, strategies: Mapping[str, Any]
) -> None:
    """
    Let a new engine parse a state, once, while other threads run.

    Raises:
        ValueError: when the engine refuses it, or a strategy is none; it says why.
    """
    engine.register_custom_strategies(dict(strategies))
    try:
        library.read(library.take_state(engine.state, body.encode()))
    except ValueError as complaint:
        if not str(complaint).startswith(PARTLY):
            why = f"{str(complaint)[:120]}; is the url the one of the API?"
            raise ValueError(why) from None
        logger.warning("%s", str(complaint)[:500])
    if strategies:
        _define_strategies(engine, body)


def _define_strategies(engine: Any, body: str) -> None:
    """
    Tell the engine which flags have custom strategies, as its ``take_state`` does.

    But let other threads run meanwhile: at 5,000 flags its parse holds the
    interpreter's lock for 50 ms.
    """
    from yggdrasil_engine import custom_strategy  # see above

    standard = frozenset(custom_strategy._STANDARD_STRATEGIES)  # noqa: SLF001  reason: held by the contract test

    def reduce(part: dict[str, Any]) -> dict[str, Any]:
        strategies = part.get("strategies")
        if not isinstance(strategies, list):
            return part  # no flag; a parameter may have that name
        custom = [s for s in strategies if s["name"] not in standard]
        return {"name": part["name"], "strategies": custom}

    features = custom_strategy.get_features_json(json.loads(body, object_hook=reduce))
    engine.custom_strategy_handler.strategy_definitions = {
        feature["name"]: feature["strategies"]
        for feature in features
        if feature.get("strategies")
    }


def _parsed(text: bytes | None) -> Any:
    fields = json.loads(text or b"{}")
    if fields.get("status_code") not in {"Ok", "NotFound"}:
        raise ValueError(fields.get("error_message") or "the engine gave no answer")
    return fields.get("value")


_BY_HEART: dict[bytes | None, Any] = {
    b'{"status_code":"Ok","value":true,"error_message":null}': True,
    b'{"status_code":"Ok","value":false,"error_message":null}': False,
    b'{"status_code":"NotFound","value":null,"error_message":null}': None,
}
"""Answers about flags; every other answer is read as the JSON that it is."""
_UNUSUAL = object()
