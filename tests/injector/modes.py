"""What is interrupted: which platform, which form of function, in which invocation."""

from __future__ import annotations

from typing import NamedTuple

MAX_AGE, REVALIDATE, INTERVAL = 100.0, 100.0, 60.0
LONG = 1000.0
"""Seconds after which flags are too old to be served and no back-off holds."""

CLIENTS = ("lean", "unleash")


class Shape(NamedTuple):
    """A platform with one form of function."""

    platform: str
    """``local``, an adapter's, or ``cloud``: one with a hook of each kind, that freezes
    and names an exception of its own."""
    form: str
    """``def``, ``async``, ``kept`` (``async def`` where the runtime does not await it),
    ``with`` or ``async with`` (`FlagSession.invocation` in a function not wrapped)."""

    @property
    def awaited(self) -> bool:
        """Whether the invocation runs on an event loop of its caller."""
        return self.form.startswith("async")


class Stage(NamedTuple):
    """The invocation that is interrupted."""

    name: str
    after: float | None = None
    """Seconds since the invocation before it; None: it is the first one."""
    raises: bool = False
    """Whether the function ends with an exception of its own."""
    everything: bool = False
    """Whether it evaluates flags of every kind, not only of the simplest."""


WHOLE = 4
"""How many shapes are tried in every stage; of the rest only what differs."""
SHAPES = (
    Shape("local", "def"),
    Shape("local", "async"),
    Shape("cloud", "def"),
    Shape("cloud", "async"),
    # so far in every stage
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
    Stage("flush", INTERVAL + 10),  # at an interval of 60 s a flush is due, alone
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
        """What one process tries."""
        form = self.shape.form.replace(" ", "-")
        return f"{self.client}/{self.shape.platform}/{form}/{self.flush_interval:g}"

    @property
    def name(self) -> str:
        """The mode's name, for ``--mode`` and for reports."""
        return f"{self.group}/{self.stage.name}"


def all_modes() -> list[Mode]:
    """Return every mode, in the order in which they are tried."""
    return [
        Mode(client, shape, interval, stage)
        for client in CLIENTS
        for shape in SHAPES
        for interval in (0.0, INTERVAL)
        for stage in STAGES
        if _is_tried(shape, interval, stage)
    ]


def _is_tried(shape: Shape, interval: float, stage: Stage) -> bool:
    """Leave out what would try the same lines in the same state once more."""
    if shape in SHAPES[:WHOLE]:
        return interval > 0 or stage.name != "flush"
    return interval == 0 and stage.name in {"first", "stale"}


def named(name: str) -> Mode:
    """Return the mode of a name."""
    return {mode.name: mode for mode in all_modes()}[name]
