"""Find the event and Lambda's context among the arguments of any handler."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 16
"""Arguments that are looked at: handlers have two, and a few that are injected."""


def find_arguments(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Any]:
    """
    Return what may be the event, the likeliest first, and the context or None.

    The context is recognised by what it is, wherever it stands; decorators inject
    arguments, and a method has its ``self``. The event stands before it.
    """
    arguments = [*args[:MOST], *islice(kwargs.values(), MOST)]
    place = _place_of_context(arguments)
    if place is None:
        context, events = None, arguments
    else:
        context = arguments[place]
        before, after = arguments[:place], arguments[place + 1 :]
        if place >= len(args):  # named: those without names come first
            before = [*before[len(args) :], *before[: len(args)]]
        events = [*reversed(before), *after]
    if "event" in kwargs:
        events = [kwargs["event"], *events]
    return tuple(events), context


def _place_of_context(arguments: list[Any]) -> int | None:
    """Return where the context stands; a mock of it has no text for an identifier."""
    for place, argument in enumerate(arguments):
        if isinstance(getattr(argument, "aws_request_id", None), str):
            return place
    for place, argument in enumerate(arguments):
        if hasattr(argument, "get_remaining_time_in_millis"):
            return place
    return None
