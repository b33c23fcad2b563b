"""Impressions for the user's listener; imported only if there is one."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serverless_flags._log import ProblemLog
from serverless_flags._passing import passes
from serverless_flags.clients._engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags.clients._library import EngineLibrary, State


@dataclass(frozen=True, slots=True)
class Impression:
    """
    One evaluation of a flag with impression data.

    It has the fields of UnleashClient's ``UnleashEvent``; type and id are strings.
    """

    event_type: str
    """``feature_flag`` or ``variant``."""

    event_id: str
    """A UUID."""

    context: dict[str, Any]
    """The evaluation context as the engine received it."""

    enabled: bool
    feature_name: str
    variant: str = ""


class Impressions:
    """
    Delivers impressions of the flags that have impression data.

    Args:
        library: the engine's functions.
        listener: called on the thread that evaluates; its exceptions are logged once.
    """

    def __init__(
        self, library: EngineLibrary, listener: Callable[[Impression], object]
    ) -> None:
        self._library, self._listener = library, listener
        self._problem_log = ProblemLog()

    def deliver(
        self,
        state: State,
        name: bytes,
        event: tuple[str, str, bool, str],
        context: dict[str, Any] | bytes,
    ) -> None:
        """
        Deliver one evaluation, if the flag has impression data.

        Args:
            state: the state that was evaluated.
            name: the name of the flag, encoded.
            event: type, flag name, whether it is on, and the variant's name.
            context: the evaluation context, a dict or its JSON.
        """
        library = self._library
        try:
            if not library.read(library.should_emit(state.pointer, name)):
                return
        except EngineError:
            self._failed()
            return
        seen = json.loads(context) if isinstance(context, bytes) else context
        kind, feature_name, enabled, variant = event
        impression = Impression(
            kind, str(uuid.uuid4()), seen, enabled, feature_name, variant
        )
        try:
            self._listener(impression)
        except Exception as error:  # the user's listener may raise anything
            if passes(error):
                raise
            self._failed()

    def _failed(self) -> None:
        self._problem_log.warn(
            "impression", "an impression could not be delivered", exc_info=True
        )
