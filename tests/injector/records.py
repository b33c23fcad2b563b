"""What interrupts a trial, and what the trial has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracing import Tracer


@dataclass
class Trigger:
    """
    What interrupts the invocation; neither: it runs undisturbed.

    Args:
        tracer: entered around the invocation.
        suspension: at which suspension of the invocation its task is cancelled, from 1.
    """

    tracer: Tracer | None = None
    suspension: int = 0


@dataclass
class Result:
    """What a trial has found."""

    violations: list[tuple[str, str]] = field(default_factory=list)
    """Kinds of violations, each with a description."""
    suspensions: int = 0
    """How often the interrupted invocation was suspended."""
    remaining: set[str] = field(default_factory=set)
    """Names of the threads and places of the held locks that remain."""
    changed: bool = False
    """Whether a guarded call that counts as failed has changed an answer."""
