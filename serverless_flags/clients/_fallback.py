"""What a fallback function answers, with a flag client and without one."""

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
    """Return what a fallback function answers; None when it fails, as the log says."""
    try:
        return bool(fallback(feature_name, context))
    except Exception as error:  # a user's function may raise anything
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
    Return what a flag client answers for an unknown flag, where there is no client.

    Args:
        feature_name: the flag's.
        context: the caller's evaluation context.
        fallback: what answers; None, and a function that fails, mean that it is off.
        known: ``appName`` and ``environment``, which each evaluation context has.
    """
    if fallback is None:
        return False
    faults: list[str] = []
    seen = enriched(known, context, faults.append)
    complain(faults, _problem_log)
    return bool(ask_fallback(fallback, feature_name, seen, _problem_log))


_problem_log = ProblemLog()
"""Without a client there is nothing else that lasts as long as the process."""
