"""What a listener of the lean client is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
