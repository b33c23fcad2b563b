"""The modes of the injector: platform, form of function, and invocation."""

from __future__ import annotations

from typing import NamedTuple

MAX_AGE, REVALIDATE, INTERVAL = 100.0, 100.0, 60.0
LONG = 1000.0
"""Seconds after which flags are too old to be served and every back-off is over."""

CLIENTS = ("lean", "unleash")


class Shape(NamedTuple):
    """A platform with one form of function."""

    platform: str
    """``local``, the name of an adapter's platform, or ``cloud``: a platform that
    freezes, implements every hook, and names an exception of its own."""
    form: str
    """``def``, ``async``, ``kept`` (``async def`` where the runtime does not await it),
    ``with`` or ``async with`` (`FlagSession.invocation` in an unwrapped function)."""

    @property
    def awaited(self) -> bool:
        """Whether the caller awaits the invocation on its event loop."""
        return self.form.startswith("async")


class Stage(NamedTuple):
    """The invocation that is interrupted."""

    name: str
    after: float | None = None
    """Seconds since the previous invocation; None for the first one."""
    raises: bool = False
    """Whether the function raises an exception itself."""
    everything: bool = False
    """Whether the function evaluates flags of every kind, not only simple ones."""


IN_EVERY_STAGE = 4
"""Number of shapes that are tried in every stage; the others in a few stages."""
SHAPES = (
    Shape("local", "def"),
    Shape("local", "async"),
    Shape("cloud", "def"),
    Shape("cloud", "async"),
    # those above are tried in every stage
    Shape("cloud", "kept"),
    Shape("cloud", "with"),
    Shape("cloud", "async with"),
    Shape("aws_lambda", "def"),
    Shape("aws_lambda", "kept"),
    Shape("gcp_cloud_functions", "def"),
    Shape("azure_functions", "def"),
    Shape("azure_functions", "async"),
)
STAGES = (
    Stage("first"),
    Stage("fresh", 0.0, everything=True),
    Stage("flush", INTERVAL + 10),  # only a flush is due
    Stage("stale", MAX_AGE + 50),  # a refresh runs in parallel
    Stage("old", LONG),  # the function waits for a refresh
    Stage("raises", MAX_AGE + 50, raises=True),
)


class Mode(NamedTuple):
    """One kind of invocation with one client."""

    client: str
    shape: Shape
    flush_interval: float
    stage: Stage

    @property
    def group(self) -> str:
        """The name of the group of modes that one process runs."""
        form = self.shape.form.replace(" ", "-")
        return f"{self.client}/{self.shape.platform}/{form}/{self.flush_interval:g}"

    @property
    def name(self) -> str:
        """The mode's name, for ``--mode`` and for reports."""
        return f"{self.group}/{self.stage.name}"


def all_modes() -> list[Mode]:
    """Return every mode, in the order in which they run."""
    return [
        Mode(client, shape, interval, stage)
        for client in CLIENTS
        for shape in SHAPES
        for interval in (0.0, INTERVAL)
        for stage in STAGES
        if _is_tried(shape, interval, stage)
    ]


def _is_tried(shape: Shape, interval: float, stage: Stage) -> bool:
    """Leave out modes that would run the same lines in the same state again."""
    if shape in SHAPES[:IN_EVERY_STAGE]:
        return interval > 0 or stage.name != "flush"
    return interval == 0 and stage.name in {"first", "stale"}


def named(name: str) -> Mode:
    """Return the mode with this name."""
    return {mode.name: mode for mode in all_modes()}[name]
