"""
The evaluation context of an invocation, and how it is merged from its layers.

The adapter's context comes first; the invocation's and the caller's win over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serverless_flags._passing import passes
from serverless_flags._protocols import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags._core import Core
    from serverless_flags._log import ProblemLog
    from serverless_flags.platform import Invocation
    from serverless_flags.types import Variant


class InvocationContext:
    """
    The evaluation context of one invocation, and the flags evaluated in it.

    `InvocationScope` is the only subclass, and sets every attribute in its own
    constructor: one constructor per invocation is faster than two.
    """

    __slots__ = (
        "_args", "_context", "_core", "_given_context", "_joined", "_kwargs",
        "invocation",
    )  # fmt: skip

    _args: tuple[Any, ...]
    _context: dict[str, Any] | None
    """The merged context; None until the first evaluation has built it."""
    _core: Core
    _given_context: Mapping[str, Any] | None
    """The ``context`` argument of `FlagSession.invocation`."""
    _joined: InvocationContext | None
    """The invocation that this one is nested in, of the same session and process."""
    _kwargs: Mapping[str, Any]
    invocation: Invocation

    def is_enabled(
        self,
        feature_name: str,
        context: dict[str, Any] | None = None,
        fallback_function: Callable[[str, dict[str, Any]], bool] | None = None,
    ) -> bool:
        """Return whether the flag is on for this invocation, on whichever thread."""
        merged = self.merged(context)
        return self._core.is_enabled(feature_name, merged, fallback_function)

    def get_variant(
        self, feature_name: str, context: dict[str, Any] | None = None
    ) -> Variant:
        """Return the flag's variant for this invocation, on whichever thread."""
        return self._core.get_variant(feature_name, self.merged(context))

    def merged(self, context: dict[str, Any] | None) -> dict[str, Any]:
        """Return the invocation's evaluation context, overridden by the caller's."""
        base = self._context
        if base is None:
            base = self._build_context()
        if not context:
            return base
        if type(context) is not dict or (
            "properties" in context and type(context["properties"]) is not dict
        ):
            what = "the context of an evaluation"
            context = checked(context, what, self._problem_log)
        return layered(base, context) if base else context

    def _build_context(self) -> dict[str, Any]:
        self._context = {}  # for a context callback that evaluates a flag itself
        try:
            self._context = self._read_context()
        except BaseException:
            self._context = None
            raise
        return self._context

    def _read_context(self) -> dict[str, Any]:
        """Merge the layers of this invocation; once, at its first evaluation."""
        if self._joined is not None:
            context = self._joined.merged(None)
        else:
            context = read_context(
                self._core.settings.context,
                self.invocation,
                (self._args, self._kwargs),
                self._problem_log,
            )
        given = self._given_context
        if given is None:
            return dict(context)
        return layered(
            context, checked(given, "invocation(context=...)", self._problem_log)
        )

    @property
    def _problem_log(self) -> ProblemLog:
        return self._core.process.problem_log


def mapping_of(context: Any) -> dict[str, Any] | None:
    """
    Return an evaluation context of any type as a dict; None when it cannot be one.

    Like UnleashClient it accepts whatever ``dict()`` accepts, except strings. The same
    goes for the ``properties``, which become empty when they cannot be a dict.
    """
    mapping: dict[str, Any] | None = context if type(context) is dict else None
    if mapping is None:
        mapping = _dict_of(context)
        if mapping is None:
            return None
    properties = mapping.get("properties", _NONE)
    if type(properties) is not dict:
        mapping = {**mapping, "properties": _dict_of(properties) or {}}
    return mapping


def _dict_of(value: Any) -> dict[str, Any] | None:
    if isinstance(value, (str, bytes)):
        return None
    try:
        return dict(value)
    except Exception as error:  # the user's mapping may raise anything
        if passes(error):
            raise
        return None


def layered(base: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """
    Merge two evaluation contexts; where both set a field, ``context`` wins.

    A custom field is the same field at the top level and among the ``properties``.
    """
    merged = {**base, **context}
    below, above = base.get("properties"), context.get("properties")
    if not below:
        if not above:
            return merged
    elif not above:
        above, merged["properties"] = _NONE, _without_overridden(below, context)
    else:
        merged["properties"] = {**_without_overridden(below, context), **above}
    for name in above:
        if name in base and name not in FIELDS and name not in context:
            del merged[name]  # overridden by the property
    return merged


def _without_overridden(
    properties: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the properties that the top level of ``context`` does not override."""
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
    Return the context of the user's callback or the adapter; empty when it fails.

    Args:
        choose: the setting ``context``.
        invocation: as the adapter describes it.
        arguments: the arguments of the user's function, for the callback.
        problem_log: logs each kind of failure once.
    """
    if choose is not None:
        args, kwargs = arguments
        found = _call_guarded(
            problem_log, choose, invocation._replace(args=args, kwargs=kwargs)
        )
        return checked(found, "the result of the context callback", problem_log)
    found = invocation.context
    if callable(found):
        found = _call_guarded(problem_log, found)
    return checked(found, "the adapter's evaluation context", problem_log)


def _call_guarded(
    problem_log: ProblemLog, function: Callable[..., Any], *args: Any
) -> Any:
    """Call a callback or a plugin; when it raises, log that and return no context."""
    try:
        return function(*args)
    except Exception as error:
        if passes(error):
            raise
        what = "no evaluation context for an invocation"
        problem_log.warn(what, what, exc_info=True)
        return {}


def checked(context: Any, what: str, problem_log: ProblemLog) -> dict[str, Any]:
    """Return ``context`` as a dict; if that fails, warn and return an empty dict."""
    usable = mapping_of(context)
    if usable is not None:
        return usable
    if hasattr(context, "cr_await"):
        context.close()  # a coroutine would warn that it was never awaited
    problem_log.warn(
        what,
        "%s is not a mapping but %s: flags are evaluated without it; give a dict such"
        " as {'userId': ...}, or {} when there is no context",
        what,
        type(context).__name__,
    )
    return {}


_NONE: dict[str, Any] = {}
