"""What a listener is told of evaluations; imported only where there is one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serverless_flags._report import Reporter
from serverless_flags.clients._context import enriched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serverless_flags.clients._engine import Library


@dataclass(frozen=True, slots=True)
class Impression:
    """
    One evaluation of a flag with impression data.

    It has the fields of UnleashClient's ``UnleashEvent``; type and id are texts.
    """

    event_type: str
    """``feature_flag`` or ``variant``."""

    event_id: str
    """A UUID."""

    context: dict[str, Any]
    """The evaluation context as the engine saw it."""

    enabled: bool
    feature_name: str
    variant: str = ""


class Impressions:
    """
    Tells a listener of the evaluations of flags that ask for it.

    Args:
        library: the engine's; it knows which flags ask.
        listener: called on the thread that evaluates; what it raises is logged once.
    """

    def __init__(
        self, library: Library, listener: Callable[[Impression], object]
    ) -> None:
        self._library, self._listener = library, listener
        self._reporter = Reporter()

    def tell(
        self,
        engine: int,
        event_type: str,
        feature_name: str,
        context: dict[str, Any],
        *,
        enabled: bool,
        variant: str = "",
    ) -> None:
        """Tell of one evaluation, if ``engine`` says that its flag asks for it."""
        library = self._library
        try:
            if library.read(library.should_emit(engine, feature_name.encode())):
                event_id = str(uuid.uuid4())
                event = (event_type, event_id, context, enabled, feature_name, variant)
                self._listener(Impression(*event))
        except Exception:  # noqa: BLE001  reason: as UnleashClient: a listener may raise anything
            self._reporter.warn(
                "impression", "an impression could not be told", exc_info=True
            )

    def around(
        self, client: Any, engine: int, known: Mapping[str, Any]
    ) -> tuple[Callable[..., bool], Callable[..., dict[str, Any]]]:
        """Return ``client``'s two questions, told to the listener after the answer."""

        def is_enabled(
            feature_name: str, context: Any = None, fallback_function: Any = None
        ) -> bool:
            enabled = bool(client.is_enabled(feature_name, context, fallback_function))
            seen = enriched(known, context)
            self.tell(engine, "feature_flag", feature_name, seen, enabled=enabled)
            return enabled

        def get_variant(feature_name: str, context: Any = None) -> dict[str, Any]:
            variant: dict[str, Any] = client.get_variant(feature_name, context)
            on, word, seen = (
                variant["enabled"],
                variant["name"],
                enriched(known, context),
            )
            self.tell(engine, "variant", feature_name, seen, enabled=on, variant=word)
            return variant

        return is_enabled, get_variant
