"""The demo's table of results, and its problems as sentences."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serverless_flags.cli._demo import Row

COLUMNS = (
    "platform",
    "runtime",
    "cold start ms",
    "before the flip",
    "after the flip",
    "evaluations made",
    "metrics received",
)
NUMBERS = frozenset({"cold start ms", "evaluations made", "metrics received"})

WIDTH = 1000
"""More columns than any table needs, to measure its width."""

LOG_WIDTH = 240
"""Columns where there is no terminal, wide enough to wrap nothing in a log."""


def report(rows: Sequence[Row]) -> bool:
    """Print the results and their problems; return whether there is no problem."""
    width = None if sys.stdout.isatty() else LOG_WIDTH
    console = Console(highlight=False, width=width)
    table = _table(rows)
    unlimited = console.options.update(width=WIDTH)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print(table)
    else:
        for row in rows:
            _print_list(console, row)
    for row in rows:
        _print_problems(console, row)
    return not any(row.problems for row in rows)


def _table(rows: Sequence[Row]) -> Table:
    table = Table()
    for column in COLUMNS:
        is_number = column in NUMBERS
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row), style=_style(row))
    return table


def _print_list(console: Console, row: Row) -> None:
    """Print the cells of a row one below the other, for a narrow terminal."""
    indent = max(map(len, COLUMNS)) + 2
    for column, cell in zip(COLUMNS, _cells(row), strict=True):
        console.print(f"{column:{indent}}{cell}", style=_style(row), markup=False)
    console.print()


def _style(row: Row) -> str | None:
    return "red" if row.problems else None


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
