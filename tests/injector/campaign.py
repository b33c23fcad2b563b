"""Interrupt one mode at every place: what was tried, what was wrong, what is exempt."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from exempt import GUARDED, exempt_lines
from forked import Died, in_copy
from held import module_locks
from tracing import Injector, Place, Recorder
from trial import Aim, Result, Trial
from world import Abort, Foreign, Named, Server

from serverless_flags import FlagSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modes import Mode

RECORDINGS = 3
"""Uninterrupted trials: which lines run depends on how fast the threads are."""

OCCURRENCES = 2
"""How many times a line is interrupted that runs more often in one invocation."""

ATTEMPTS = 3
"""Trials until a line that was recorded runs again."""


DEADLINE = 60.0
"""Seconds after which the copy that runs a trial is ended."""


class Shot(NamedTuple):
    """One exception at one place."""

    exception: str
    place: Place | None
    """None: at a suspension."""
    occurrence: int


@dataclass
class Report:
    """What one mode has come to, as JSON can carry it."""

    mode: str
    places: int = 0
    trials: int = 0
    not_reached: int = 0
    violations: list[dict[str, str]] = field(default_factory=list)
    exempt: dict[str, str] = field(default_factory=dict)
    """Places, each with the reason."""


class Campaign:
    """
    All shots at one mode.

    Args:
        mode: what is interrupted.
        packages: folders or files whose lines are interrupted.
        session_class: the class of the session.
    """

    def __init__(
        self,
        mode: Mode,
        packages: tuple[str, ...],
        session_class: type[FlagSession] | None = None,
    ) -> None:
        module_locks()  # once, not in every copy
        self._mode = mode
        self._packages = packages
        self._session_class = session_class or FlagSession
        self._report = Report(mode.name)
        self._usual: set[str] | None = None
        """What is left of every trial, interrupted or not: a watcher's thread."""
        self._died = ""

    def run(self, only: str = "", sample: int = 0, seed: int = 0) -> Report:
        """
        Fire; return the report.

        Args:
            only: a part of the name of the places to try: ``scope.py:118``.
            sample: how many shots, drawn by ``seed``; 0: all.
            seed: for the draw.
        """
        recordings = 1 if sample else RECORDINGS
        shots = [shot for shot in self._shots(recordings) if only in _name(shot)]
        if self._report.violations:
            return self._report  # uninterrupted, and wrong: nothing else would count
        self._report.places = len({(shot.place, shot.occurrence) for shot in shots})
        if sample and len(shots) > sample:
            shots = random.Random(f"{seed} {self._mode.name}").sample(shots, sample)
        for shot in shots:
            self._fire(shot)
        return self._report

    def _shots(self, recordings: int) -> list[Shot]:
        """Record what can be interrupted, less what is exempt."""
        seen: Counter[Place] = Counter()
        suspensions = 0
        for _ in range(recordings):
            result, recorder = self._record()
            known = result.left if self._usual is None else self._usual
            self._usual = known & result.left
            suspensions = max(suspensions, result.suspensions)
            seen |= recorder.seen
        shots = []
        for place, count in seen.items():
            reason = exempt_lines(place.path).get(place.line)
            if reason is not None:
                self._report.exempt[_describe(place)] = reason
                continue
            for occurrence in range(1, min(count, OCCURRENCES) + 1):
                shots.append(Shot("Exception", place, occurrence))
                shots.append(Shot("BaseException", place, occurrence))
        if self._mode.shape.awaited:
            numbers = range(1, suspensions + 1)
            shots += [Shot("cancel", None, number) for number in numbers]
        return shots

    def _record(self) -> tuple[Result, Recorder]:
        recorder = Recorder(self._packages)
        result, recorder = self._try(Aim(recorder)) or (Result(), recorder)
        self._note(result.violations, "none", "uninterrupted")
        return result, recorder

    def _try(self, aim: Aim) -> tuple[Result, Any] | None:
        """Run one trial in a copy of this process; return its result and its tracer."""
        self._report.trials += 1

        def work() -> tuple[Result, Any]:
            sys.unraisablehook = lambda _: None
            trial = Trial(self._mode, Server(), aim, self._usual, self._session_class)
            return trial.run(), aim.tracer

        try:
            return in_copy(work, DEADLINE)
        except Died as died:
            self._died = str(died)
            return None

    def _fire(self, shot: Shot) -> None:
        for _ in range(ATTEMPTS):
            tried = self._try(self._aim(shot))
            if tried is None:
                self._note([("hang", self._died)], shot.exception, _where(shot))
                return
            result, tracer = tried
            self._note(result.violations, shot.exception, _where(shot))
            if result.changed:
                self._report.exempt[_where(shot)] = GUARDED
            if tracer is None or tracer.fired:
                return
        self._report.not_reached += 1

    def _aim(self, shot: Shot) -> Aim:
        if shot.place is None:
            return Aim(suspension=shot.occurrence)
        kind = self._kind(shot.exception)
        return Aim(Injector(self._packages, shot.place, shot.occurrence, kind))

    def _kind(self, exception: str) -> type[BaseException]:
        if exception == "BaseException":
            return Abort
        return Named if self._mode.shape.platform == "cloud" else Foreign

    def _note(
        self, violations: Iterable[tuple[str, str]], exception: str, where: str
    ) -> None:
        for kind, what in violations:
            self._report.violations.append(
                {"kind": kind, "what": what, "exception": exception, "place": where}
            )


def _name(shot: Shot) -> str:
    if shot.place is None:
        return f"suspension {shot.occurrence}"
    return shot.place.name


def _where(shot: Shot) -> str:
    return _name(shot) if shot.place is None else _describe(shot.place)


def _describe(place: Place) -> str:
    """Return file, line, function and text of a place."""
    import linecache

    text = linecache.getline(place.path, place.line).strip()
    return f"{place.name} {place.function}: {text}"


def our_packages() -> tuple[str, ...]:
    """Return the folders of the package and of the adapters that are installed."""
    names = [
        "serverless_flags",
        "serverless_flags_aws_lambda",
        "serverless_flags_azure_functions",
        "serverless_flags_gcp_cloud_functions",
    ]
    specs: list[Any] = [importlib.util.find_spec(name) for name in names]
    return tuple(os.path.dirname(spec.origin) + os.sep for spec in specs if spec)


def load_session(path: str) -> tuple[tuple[str, ...], type[FlagSession]]:
    """
    Return a file and its class ``Session``, whose lines are interrupted in our place.

    With a session that is made wrong the injector's own tests see that it finds faults.
    """
    spec: Any = importlib.util.spec_from_file_location(
        "serverless_flags_of_a_test", path
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    session_class: type[FlagSession] = module.Session
    return (path,), session_class
