"""The record of one life, from which its verdict is computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plan import Plan

    from serverless_flags.testing import Exit
    from serverless_flags.testing.faults import Exchange, Fault


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation, as its caller saw it; times are of ``time.monotonic``."""

    asked: float
    answered: float
    variant: str | None
    """The state that it evaluated; None when no answer came, or it was cut."""
    busy: bool


@dataclass(slots=True)
class Record:
    """Everything that happened in one life."""

    plan: Plan
    calls: list[Call] = field(default_factory=list)
    flips: list[float] = field(default_factory=list)
    """When each state was in force at the latest; the first one before the birth."""
    faults: list[tuple[float, Fault]] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    """When the server was at its next address at the latest."""
    freezes: list[tuple[float, float]] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    counted: int = 0
    """Evaluations that the server has."""
    exit: Exit | None = None
    failure: str | None = None
    """Why the life could not be lived."""
    output: str = ""
