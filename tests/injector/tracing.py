"""Count the lines of a package that a thread runs, or raise before one of them."""

from __future__ import annotations

import inspect
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from exempt import is_guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from typing_extensions import Self


class Place(NamedTuple):
    """One line of a function."""

    path: str
    line: int
    function: str

    @property
    def name(self) -> str:
        """The name of the place: ``folder/file.py:line``."""
        parts = self.path.rsplit(os.sep, 2)
        return f"{'/'.join(parts[-2:])}:{self.line}"


class Tracer:
    """
    A trace function for the functions of some packages, on the thread that enters it.

    It ignores the bodies of modules and classes: if one raises, the import system
    itself removes the module.

    Args:
        packages: folders or files whose functions are traced.
    """

    def __init__(self, packages: Iterable[str]) -> None:
        self._packages = tuple(packages)
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        is_function = code.co_flags & inspect.CO_OPTIMIZED
        if is_function and code.co_filename.startswith(self._packages):
            return self._line
        return None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            code = frame.f_code
            place = Place(code.co_filename, frame.f_lineno, code.co_name)
            self.reach(place, frame)
        return self._line

    def reach(self, place: Place, frame: FrameType) -> None:
        """Handle one line before it runs."""
        raise NotImplementedError


class Recorder(Tracer):
    """A tracer that counts how often each line runs."""

    def __init__(self, packages: Iterable[str]) -> None:
        super().__init__(packages)
        self.seen: Counter[Place] = Counter()

    def reach(self, place: Place, frame: FrameType) -> None:
        """Count the line."""
        self.seen[place] += 1


class Injector(Tracer):
    """
    A tracer that raises once, before a line runs.

    Args:
        packages: folders or files whose functions are traced.
        target: the line.
        occurrence: at which run of the line, from 1.
        make: returns the exception.
    """

    def __init__(
        self,
        packages: Iterable[str],
        target: Place,
        occurrence: int,
        make: Callable[[], BaseException],
    ) -> None:
        super().__init__(packages)
        self._target = target
        self._left = occurrence
        self._make = make
        self.fired = False
        self.guarded = False
        """Whether it was raised inside a guarded call of a plugin or the like."""

    def reach(self, place: Place, frame: FrameType) -> None:
        """Raise at the given occurrence of the target."""
        if self.fired or place != self._target:
            return
        self._left -= 1
        if self._left == 0:
            self.fired = True
            self.guarded = is_guarded(frame)
            raise self._make()
