"""Flags that were evaluated and that the flag state does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._log import logger
from serverless_flags.clients._engine import EngineError

if TYPE_CHECKING:
    from serverless_flags.clients._library import EngineLibrary, State

MOST = 100
"""The most names that are kept, as a program may make up names."""
MOST_LINES = 20
"""The most names that a process logs."""
MOST_COMPARED = 1_000
"""The most known names that are compared with an unknown one: 20 ms at most."""
LONGEST = 200
"""The most characters of a name that is kept; no name in Unleash is longer."""


class UnknownFlags:
    """
    The names of unknown flags, each logged once.

    Args:
        library: the engine's functions.
    """

    def __init__(self, library: EngineLibrary) -> None:
        self._library = library
        self._names: dict[str, None] = {}
        self._logged: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of their first evaluations."""
        return tuple(self._names)

    def record(self, state: State, name: str, *, expected: bool) -> None:
        """
        Record and log a name that ``state`` does not have.

        Args:
            state: the state that was evaluated.
            name: the name of the flag.
            expected: whether the caller passed a fallback function.
        """
        if name in self._names or len(self._names) >= MOST or len(name) > LONGEST:
            return
        self._names[name] = None
        if name in self._logged or len(self._logged) >= MOST_LINES:
            return
        self._logged.add(name)
        last = " (no further unknown flag is logged; `status.unknown_flags` has them)"
        nearest = self._nearest(state, name)
        logger.log(
            _INFO if expected else _WARNING,
            "the flag %r is unknown: %s%s",
            name,
            "check its name, its project and the environment of the token"
            if nearest is None
            else f"did you mean {nearest!r}?",
            last if len(self._logged) == MOST_LINES else "",
        )

    def forget_known(self, state: State) -> None:
        """Remove the names that a new state has."""
        library = self._library
        for name in list(self._names):
            answer = library.check_enabled(state.pointer, name.encode(), b"{}", b"{}")
            try:
                unknown = library.read(answer) is None
            except EngineError:
                unknown = False  # the flag exists, but this context does not suit it
            if not unknown:
                self._names.pop(name, None)

    def _nearest(self, state: State, name: str) -> str | None:
        """Return the most similar known name, if one is similar."""
        try:
            flags = self._library.read(self._library.list_flags(state.pointer))
        except EngineError:
            return None
        import difflib  # 3 ms, only after an unknown flag

        wanted = name.lower()
        likely = [
            known
            for flag in flags or ()
            if abs(len(known := flag["name"]) - len(name)) <= len(name) // 3
        ]
        lower = {known.lower(): known for known in likely[:MOST_COMPARED]}
        found = difflib.get_close_matches(wanted, lower, n=1, cutoff=0.7)
        return lower[found[0]] if found else None


_INFO, _WARNING = 20, 30
"""The levels of `logging`."""
