"""yggdrasil-engine's library, asked without the Python layer that lies above it."""

from __future__ import annotations

import json
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from serverless_flags._log import logger
from serverless_flags._protocols import NO_FLAGS
from serverless_flags.clients._engine import PARTLY_LOADED, EngineError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping


class EngineLibrary:
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
        self.load_state = bind(releasing, "take_state")
        self.list_flags = bind(releasing, "list_known_toggles")
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
            EngineError: when the engine failed; it says why.
        """
        text = self._text(answer).value
        self.free(answer)
        value = _COMMON_ANSWERS.get(text, _MISSING)
        return _parsed(text) if value is _MISSING else value


class State:
    """
    One state of the flags, in an engine of its own.

    The pointer is valid as long as the state is held: it is handed to the library by
    code that holds the state in a variable of its own, and kept nowhere else.
    """

    __slots__ = ("__weakref__", "_strategies", "custom", "engine", "loaded", "pointer")

    def __init__(self, engine: Any, *, loaded: bool = True) -> None:
        self.engine = engine
        self.pointer: int = engine.state
        self.loaded = loaded
        """Whether a flag that the engine does not know is unknown."""
        self._strategies = engine.custom_strategy_handler
        self.custom: Mapping[str, Any] = self._strategies.strategy_definitions
        """The flags with custom strategies."""

    def custom_results(self, feature_name: str, context: dict[str, Any]) -> bytes:
        """Ask the custom strategies of a flag, which may raise anything."""
        results = self._strategies.evaluate_custom_strategies(feature_name, context)
        return json.dumps(results).encode()


class RetiredEngines:
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


class StateLoader:
    """
    Makes states of what the server sends.

    Args:
        library: the engine's.
        strategies: custom strategies by name; one that does not fit costs the flags
            that use it, and one warning.
    """

    def __init__(self, library: EngineLibrary, strategies: Mapping[str, Any]) -> None:
        self._library = library
        self._strategies: dict[str, Any] = {}
        if strategies:
            from serverless_flags.clients._strategies import fitting  # with some alone

            self._strategies = fitting(strategies)
        self._complained: str | None = None

    def load(self, engine: Any, body: str) -> State:
        """
        Let a new engine parse a state, once, while other threads run.

        What the engine cannot read of it is left out and named in a warning.

        Raises:
            ValueError: when it is no state, or nothing of it can be read.
        """
        engine.register_custom_strategies(self._strategies)
        complaint = None
        try:
            self._parse(engine, body)
        except EngineError as error:
            complaint = quoted(str(error), 500)
            if not complaint.startswith(PARTLY_LOADED):
                from serverless_flags.clients._salvage import salvage  # rare

                body, complaint = salvage(self._parse, engine, body, complaint)
        self._complain(complaint)
        if self._strategies:
            from serverless_flags.clients._strategies import define  # loaded already

            define(engine, body)
        return State(engine, loaded=body != NO_FLAGS)

    def _parse(self, engine: Any, body: str) -> None:
        self._library.read(self._library.load_state(engine.state, body.encode()))

    def _complain(self, complaint: str | None) -> None:
        """Warn of what the engine cannot evaluate, unless that was said last time."""
        if complaint is not None and complaint != self._complained:
            logger.warning("%s", complaint)
        self._complained = complaint


def _parsed(text: bytes | None) -> Any:
    fields = json.loads(text or b"{}")
    if fields.get("status_code") not in {"Ok", "NotFound"}:
        raise EngineError(fields.get("error_message") or "the engine gave no answer")
    return fields.get("value")


_COMMON_ANSWERS: dict[bytes | None, Any] = {
    b'{"status_code":"Ok","value":true,"error_message":null}': True,
    b'{"status_code":"Ok","value":false,"error_message":null}': False,
    b'{"status_code":"NotFound","value":null,"error_message":null}': None,
}
"""Answers about flags; every other answer is read as the JSON that it is."""
_MISSING = object()
