"""The demo's table, and in sentences what is wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serverless_flags.cli._demo import Row

WIDTH = 240
"""Columns where there is no terminal, so that nothing is wrapped in a log."""


def report(rows: Sequence[Row]) -> bool:
    """Print the table and the problems; return whether there is none."""
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(highlight=False, width=width)
    console.print(_table(rows))
    for row in rows:
        _print_problems(console, row)
    return not any(row.problems for row in rows)


def _table(rows: Sequence[Row]) -> Table:
    table = Table()
    for column in ("platform", "runtime"):
        table.add_column(column)
    table.add_column("cold start ms", justify="right")
    for column in ("before the flip", "after the flip"):
        table.add_column(column)
    for column in ("evaluations made", "metrics received"):
        table.add_column(column, justify="right")
    for row in rows:
        style = "red" if row.problems else None
        table.add_row(*_cells(row), style=style)
    return table


def _cells(row: Row) -> list[str]:
    return [
        row.platform,
        row.runtime,
        "" if row.cold_start is None else f"{row.cold_start * 1000:.0f}",
        row.before,
        row.after,
        str(row.evaluations),
        "" if row.received is None else str(row.received.total),
    ]


def _print_problems(console: Console, row: Row) -> None:
    for problem in row.problems:
        console.print(f"{row.platform} {problem}", style="red", markup=False)
    if row.problems and row.output:
        tail = "\n".join(row.output.splitlines()[-20:])
        console.print(f"{row.platform} printed:\n{tail}", markup=False)
