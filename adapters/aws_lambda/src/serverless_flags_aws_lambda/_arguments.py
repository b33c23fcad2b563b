"""Find the event and Lambda's context among the arguments of a handler."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ARGUMENTS = 16
"""The most arguments that are inspected: a handler has two, decorators inject a few."""


def find_arguments(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Any]:
    """
    Return the candidates for the event, the likeliest first, and the context or None.

    The context is recognised by its attributes at any position, because decorators
    inject arguments and a method has its ``self``. The event precedes it.
    """
    arguments = [*args[:MAX_ARGUMENTS], *islice(kwargs.values(), MAX_ARGUMENTS)]
    place = _place_of_context(arguments)
    if place is None:
        context, events = None, arguments
    else:
        context = arguments[place]
        before, after = arguments[:place], arguments[place + 1 :]
        if place >= len(args):  # a keyword: positional arguments are likelier
            before = [*before[len(args) :], *before[: len(args)]]
        events = [*reversed(before), *after]
    if "event" in kwargs:
        events = [kwargs["event"], *events]
    return tuple(events), context


def _place_of_context(arguments: list[Any]) -> int | None:
    """Return the index of the context; a mock of one has no ``str`` as its id."""
    for place, argument in enumerate(arguments):
        if isinstance(getattr(argument, "aws_request_id", None), str):
            return place
    for place, argument in enumerate(arguments):
        if hasattr(argument, "get_remaining_time_in_millis"):
            return place
    return None
