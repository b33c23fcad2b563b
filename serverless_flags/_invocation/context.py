"""Layers of evaluation context: the adapter's, the invocation's, the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags._passing import passes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags._log import ProblemLog
    from serverless_flags.platform import Invocation

FIELDS = frozenset(
    {
        "userId",
        "sessionId",
        "environment",
        "appName",
        "currentTime",
        "remoteAddress",
        "properties",
    }
)
"""Unleash's own fields; every other name is a property, wherever it stands."""


def mapping_of(context: Any) -> dict[str, Any] | None:
    """
    Return what others gave as an evaluation context as a dict; None when it is none.

    What ``dict()`` takes is taken, as UnleashClient takes it, but for texts. Likewise
    the ``properties``, which are left out when they are none.
    """
    made: dict[str, Any] | None = context if type(context) is dict else None
    if made is None:
        made = _dict_of(context)
        if made is None:
            return None
    properties = made.get("properties", _NONE)
    if type(properties) is not dict:
        made = {**made, "properties": _dict_of(properties) or {}}
    return made


def _dict_of(value: Any) -> dict[str, Any] | None:
    if isinstance(value, (str, bytes)):
        return None
    try:
        return dict(value)
    except Exception as error:  # a mapping of the user's may raise anything
        if passes(error):
            raise
        return None


def layered(base: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return two evaluation contexts as one: of two values for a field, the second's.

    A custom field is the same field at the top level and among the ``properties``.
    """
    merged = {**base, **context}
    below, above = base.get("properties"), context.get("properties")
    if not below:
        if not above:
            return merged
    elif not above:
        above, merged["properties"] = _NONE, _without_newer(below, context)
    else:
        merged["properties"] = {**_without_newer(below, context), **above}
    for name in above:
        if name in base and name not in FIELDS and name not in context:
            del merged[name]  # older than the property
    return merged


def _without_newer(
    properties: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    """Return properties without those that stand at the top level of a newer layer."""
    kept = {**properties}
    for name in context:
        if name not in FIELDS:
            kept.pop(name, None)
    return kept


def read_context(
    choose: Callable[[Invocation], Any] | None,
    invocation: Invocation,
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    problem_log: ProblemLog,
) -> dict[str, Any]:
    """
    Ask the user's callback, or the adapter; what cannot be used costs the context.

    Args:
        choose: the setting ``context``.
        invocation: as the adapter describes it.
        arguments: what the function was called with, for the callback.
        problem_log: logs each kind of fault once.
    """
    if choose is not None:
        args, kwargs = arguments
        known = _answer_of(
            problem_log, choose, invocation._replace(args=args, kwargs=kwargs)
        )
        return checked(known, "the answer of the context callback", problem_log)
    known = invocation.context
    if callable(known):
        known = _answer_of(problem_log, known)
    return checked(known, "the adapter's evaluation context", problem_log)


def _answer_of(problem_log: ProblemLog, call: Callable[..., Any], *args: Any) -> Any:
    """Call a callback or a plugin; a fault of theirs costs the context alone."""
    try:
        return call(*args)
    except Exception as error:
        if passes(error):
            raise
        what = "no evaluation context for an invocation"
        problem_log.warn(what, what, exc_info=True)
        return {}


def checked(context: Any, what: str, problem_log: ProblemLog) -> dict[str, Any]:
    """Return a context that others gave, or an empty one and one warning."""
    usable = mapping_of(context)
    if usable is not None:
        return usable
    if hasattr(context, "cr_await"):
        context.close()  # nothing will await it
    problem_log.warn(
        what,
        "%s is no mapping but %s: evaluated without it; give a dict such as"
        " {'userId': ...}, or {} when there is none",
        what,
        type(context).__name__,
    )
    return {}


_NONE: dict[str, Any] = {}
