"""yggdrasil-engine's native library, called without its Python layer."""

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
    The functions of the engine's native library, and a reader of their answers.

    ``UnleashEngine`` parses each answer with JSON, an enum and a generator, which is
    most of the cost of an evaluation. Here common answers are looked up in a table.
    tests/clients/test_lean_contract.py verifies each undocumented part of
    ``UnleashEngine`` that this package uses.

    An evaluation keeps the interpreter's lock. It takes only 1 to 2 us; a thread that
    releases the lock may wait 5 ms for a busy thread to give it back.

    Args:
        engine: any ``UnleashEngine`` or `Engine`.
    """

    def __init__(self, engine: Any) -> None:
        import ctypes  # late, as the engine

        lib = engine.lib
        keeping, releasing = ctypes.PYFUNCTYPE, ctypes.CFUNCTYPE

        def bind(prototype: Any, name: str) -> Any:
            # With the engine's own types, so that changed arguments raise an error.
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
        Return the value of an answer, and free the answer.

        The value is None if the engine does not know the flag.

        Raises:
            EngineError: when the engine reports an error.
        """
        text = self._text(answer).value
        self.free(answer)
        value = _COMMON_ANSWERS.get(text, _MISSING)
        return _parsed(text) if value is _MISSING else value

    def count_flags(self, pointer: int) -> int:
        """
        Return how many flags an engine has, without parsing its answer.

        At 5,000 flags this takes 1 ms, most of it while other threads run; to parse the
        body takes 13 ms with the interpreter's lock held. A quote inside of a string is
        escaped, so the pattern occurs once for each flag.
        """
        answer = self.list_flags(pointer)
        text = self._text(answer).value or b""
        self.free(answer)
        return text.count(b'"name":')


class State:
    """
    One state of the flags, in its own engine.

    The pointer is valid as long as the state is referenced. Code that passes it to the
    library therefore holds the state in a local variable, and never stores the pointer.
    """

    __slots__ = (
        "__weakref__", "_strategies", "custom", "engine", "flag_count", "loaded",
        "pointer",
    )  # fmt: skip

    def __init__(
        self, engine: Any, *, loaded: bool = True, flag_count: int = 0
    ) -> None:
        self.engine = engine
        self.flag_count = flag_count
        self.pointer: int = engine.state
        self.loaded = loaded
        """Whether flags have been loaded, so that a missing flag is an unknown one."""
        self._strategies = engine.custom_strategy_handler
        self.custom: Mapping[str, Any] = self._strategies.strategy_definitions
        """The flags with custom strategies."""

    def custom_results(self, feature_name: str, context: dict[str, Any]) -> bytes:
        """Call the custom strategies of a flag, which may raise anything."""
        results = self._strategies.evaluate_custom_strategies(feature_name, context)
        return json.dumps(results).encode()


class RetiredEngines:
    """
    Replaced engines that wait to be freed.

    Freeing takes 35 ms at 5,000 flags, so it is never left to an evaluating thread.
    """

    def __init__(self) -> None:
        self._engines: deque[Any] = deque()

    def add(self, engine: Any, *, after: object) -> None:
        """Add an engine once ``after`` is no longer referenced."""
        weakref.finalize(after, self._engines.append, engine).atexit = False

    def free(self) -> None:
        """Free all retired engines on this thread."""
        self._engines.clear()


class StateLoader:
    """
    Loads the bodies that the server sends into engines.

    Args:
        library: the engine's functions.
        strategies: custom strategies by name; an invalid one is left out with a
            warning, and is off in the flags that use it.
    """

    def __init__(self, library: EngineLibrary, strategies: Mapping[str, Any]) -> None:
        self._library = library
        self._strategies: dict[str, Any] = {}
        if strategies:
            # only with some
            from serverless_flags.clients._strategies import valid_strategies

            self._strategies = valid_strategies(strategies)
        self._complained: str | None = None

    def load(self, engine: Any, body: str) -> State:
        """
        Load a body into a new engine; other threads run meanwhile.

        Parts that the engine cannot read are left out and named in a warning.

        Raises:
            ValueError: when the body is not a flag state, or no part can be read.
        """
        engine.register_custom_strategies(self._strategies)
        complaint = None
        try:
            self._parse(engine, body)
        except EngineError as error:
            complaint = quoted(str(error), 500)
            if not complaint.startswith(PARTLY_LOADED):
                # only after a failure
                from serverless_flags.clients._salvage import salvage

                body, complaint = salvage(self._parse, engine, body, complaint)
        self._complain(complaint)
        if self._strategies:
            from serverless_flags.clients._strategies import define  # loaded already

            define(engine, body)
        count = self._library.count_flags(engine.state)
        return State(engine, loaded=body != NO_FLAGS, flag_count=count)

    def _parse(self, engine: Any, body: str) -> None:
        self._library.read(self._library.load_state(engine.state, body.encode()))

    def _complain(self, complaint: str | None) -> None:
        """Warn about parts that the engine cannot evaluate, unless just logged."""
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
"""Common answers about flags; every other answer is parsed as JSON."""
_MISSING = object()
"""Marks an answer that is not in the table, as None is a value."""
