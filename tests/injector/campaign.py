"""Interrupt one mode at every place, and report the violations and exempt lines."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from exempt import GUARDED, exempt_lines
from forked import Died, in_fork
from held import module_locks
from records import Result, Trigger
from tracing import Injector, Place, Recorder
from trial import Trial
from world import Abort, Named, Server, Unnamed

from serverless_flags import FlagSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modes import Mode

RECORDINGS = 3
"""Number of uninterrupted trials, because the lines that run depend on timing."""

OCCURRENCES = 2
"""How many runs of a line are interrupted, if it runs more often."""

ATTEMPTS = 3
"""Number of trials in which a recorded line must run again."""

DEADLINE = 60.0
"""Seconds after which the process that runs a trial is killed."""


class Interruption(NamedTuple):
    """One exception at one place."""

    exception: str
    place: Place | None
    """The line; None for the cancellation of a task at a suspension."""
    occurrence: int

    @property
    def name(self) -> str:
        """The name of the place, or the number of the suspension."""
        return self.place.name if self.place else f"suspension {self.occurrence}"

    @property
    def where(self) -> str:
        """The name, with the function and the text of the line."""
        return _describe(self.place) if self.place else self.name


@dataclass
class Report:
    """The result of one mode; it can be written as JSON."""

    mode: str
    places: int = 0
    trials: int = 0
    not_reached: int = 0
    violations: list[dict[str, str]] = field(default_factory=list)
    exempt: dict[str, str] = field(default_factory=dict)
    """The exempt places, each with the reason."""


class Campaign:
    """
    All interruptions of one mode.

    Args:
        mode: the mode that is interrupted.
        packages: folders or files whose lines are interrupted.
        session_class: the class of the session.
    """

    def __init__(
        self,
        mode: Mode,
        packages: tuple[str, ...],
        session_class: type[FlagSession] | None = None,
    ) -> None:
        module_locks()  # once here, not in every forked process
        self._mode = mode
        self._packages = packages
        self._session_class = session_class or FlagSession
        self._report = Report(mode.name)
        self._usual: set[str] | None = None
        """What remains after every trial, such as the thread of a watcher."""
        self._died = ""

    def run(self, only: str = "", sample: int = 0, seed: int = 0) -> Report:
        """
        Interrupt the mode; return the report.

        Args:
            only: a part of the names of the places: ``scope.py:118``.
            sample: number of interruptions, chosen at random; 0: all.
            seed: of the random choice.
        """
        recordings = 1 if sample else RECORDINGS
        chosen = [each for each in self._interruptions(recordings) if only in each.name]
        if self._report.violations:
            return self._report  # without any interruption: the rest would mean nothing
        self._report.places = len({(each.place, each.occurrence) for each in chosen})
        if sample and len(chosen) > sample:
            chosen = random.Random(f"{seed} {self._mode.name}").sample(chosen, sample)
        for interruption in chosen:
            self._interrupt(interruption)
        return self._report

    def _interruptions(self, recordings: int) -> list[Interruption]:
        """Record what can be interrupted, without what is exempt."""
        seen: Counter[Place] = Counter()
        suspensions = 0
        for _ in range(recordings):
            result, recorder = self._record()
            known = result.remaining if self._usual is None else self._usual
            self._usual = known & result.remaining
            suspensions = max(suspensions, result.suspensions)
            seen |= recorder.seen
        found = []
        for place, count in seen.items():
            reason = exempt_lines(place.path).get(place.line)
            if reason is not None:
                self._report.exempt[_describe(place)] = reason
                continue
            for occurrence in range(1, min(count, OCCURRENCES) + 1):
                found.append(Interruption("Exception", place, occurrence))
                found.append(Interruption("BaseException", place, occurrence))
        if self._mode.shape.awaited:
            numbers = range(1, suspensions + 1)
            found += [Interruption("cancel", None, number) for number in numbers]
        return found

    def _record(self) -> tuple[Result, Recorder]:
        recorder = Recorder(self._packages)
        result, recorder = self._try(Trigger(recorder)) or (Result(), recorder)
        self._add_violations(result.violations, "none", "uninterrupted")
        return result, recorder

    def _try(self, trigger: Trigger) -> tuple[Result, Any] | None:
        """Run one trial in a fork of this process; return its result and tracer."""
        self._report.trials += 1

        def work() -> tuple[Result, Any]:
            sys.unraisablehook = lambda _: None
            server = Server()
            trial = Trial(self._mode, server, trigger, self._usual, self._session_class)
            return trial.run(), trigger.tracer

        try:
            return in_fork(work, DEADLINE)
        except Died as died:
            self._died = str(died)
            return None

    def _interrupt(self, interruption: Interruption) -> None:
        where = interruption.where
        for _ in range(ATTEMPTS):
            tried = self._try(self._trigger(interruption))
            if tried is None:
                hang = [("hang", self._died)]
                self._add_violations(hang, interruption.exception, where)
                return
            result, tracer = tried
            self._add_violations(result.violations, interruption.exception, where)
            if result.changed:
                self._report.exempt[where] = GUARDED
            if tracer is None or tracer.fired:
                return
        self._report.not_reached += 1

    def _trigger(self, interruption: Interruption) -> Trigger:
        if interruption.place is None:
            return Trigger(suspension=interruption.occurrence)
        kind = self._kind(interruption.exception)
        return Trigger(
            Injector(self._packages, interruption.place, interruption.occurrence, kind)
        )

    def _kind(self, exception: str) -> type[BaseException]:
        if exception == "BaseException":
            return Abort
        return Named if self._mode.shape.platform == "cloud" else Unnamed

    def _add_violations(
        self, violations: Iterable[tuple[str, str]], exception: str, where: str
    ) -> None:
        for kind, what in violations:
            self._report.violations.append(
                {"kind": kind, "what": what, "exception": exception, "place": where}
            )


def _describe(place: Place) -> str:
    """Return file, line, function and text of a place."""
    import linecache

    text = linecache.getline(place.path, place.line).strip()
    return f"{place.name} {place.function}: {text}"


def package_folders() -> tuple[str, ...]:
    """Return the folders of this package and of the installed adapters."""
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
    Return a file and its class ``Session``, to be interrupted instead of this package.

    The injector's own tests use incorrect sessions to see that it finds their mistakes.
    """
    spec: Any = importlib.util.spec_from_file_location(
        "serverless_flags_of_a_test", path
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    session_class: type[FlagSession] = module.Session
    return (path,), session_class
