"""Call the user's fallback function, with a flag client and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags._log import ProblemLog
from serverless_flags._passing import passes
from serverless_flags.clients._context import complain, enriched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def ask_fallback(
    fallback: Callable[[str, dict[str, Any]], object],
    feature_name: str,
    context: dict[str, Any],
    problem_log: ProblemLog,
) -> bool | None:
    """Return the result of a fallback function; None, and a warning, if it fails."""
    try:
        return bool(fallback(feature_name, context))
    except Exception as error:  # the user's function may raise anything
        if passes(error):
            raise
        problem_log.warn(
            "fallback",
            "the fallback function of the flag %r failed: the flag is off",
            feature_name,
            exc_info=True,
        )
    return None


def fallback_answer(
    feature_name: str,
    context: Mapping[str, Any] | None,
    fallback: Callable[[str, dict[str, Any]], object] | None,
    known: Mapping[str, str],
) -> bool:
    """
    Return what a flag client would return for an unknown flag, without a client.

    Args:
        feature_name: the name of the flag.
        context: the caller's evaluation context.
        fallback: the fallback function; the flag is off if it is None or fails.
        known: ``appName`` and ``environment``, which each evaluation context has.
    """
    if fallback is None:
        return False
    faults: list[str] = []
    seen = enriched(known, context, faults.append)
    complain(faults, _problem_log)
    return bool(ask_fallback(fallback, feature_name, seen, _problem_log))


_problem_log = ProblemLog()
"""At module level: without a client nothing else lasts as long as the process."""
