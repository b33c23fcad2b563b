"""Tables and plots of a topic, for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.environments import ROOT

DOCS = ROOT / "docs"
PLOTS = DOCS / "benchmarks"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def ms(seconds: float) -> str:
    """Return milliseconds with two or three significant digits."""
    value = seconds * 1000
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004  reason: below it one decimal


def us(seconds: float) -> str:
    """Return microseconds."""
    return f"{seconds * 1e6:.1f}"


def mb(size: float) -> str:
    """Return megabytes."""
    return f"{size / 1e6:.1f}"


def times(ratio: float) -> str:
    """Return a ratio."""
    return f"{ratio:.2f} ×"


def bars(name: str, title: str, unit: str, values: Mapping[str, float]) -> str:
    """
    Draw horizontal bars into ``docs/benchmarks/<name>.svg``, this package's in colour.

    Returns:
        the Markdown that shows them.
    """
    from matplotlib import pyplot, rcParams

    rcParams["svg.hashsalt"] = "serverless-flags"  # the same file from the same values
    rcParams["svg.fonttype"] = "none"
    figure, axes = pyplot.subplots(figsize=(7.5, 0.6 + 0.32 * len(values)))
    colours = ["#6c5ce7" if "serverless-flags" in key else "#b2bec3" for key in values]
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, fmt="%.3g", padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    return _saved(name, title, figure)


def lines(
    name: str,
    title: str,
    axes_names: tuple[str, str],
    series: Mapping[str, Mapping[float, float]],
) -> str:
    """Draw lines over a logarithmic x axis into ``docs/benchmarks/<name>.svg``."""
    from matplotlib import pyplot, rcParams

    rcParams["svg.hashsalt"] = "serverless-flags"
    rcParams["svg.fonttype"] = "none"
    figure, axes = pyplot.subplots(figsize=(7.5, 3.6))
    for label, points in series.items():
        axes.plot(list(points), list(points.values()), marker="o", label=label)
    axes.set_xscale("log")
    ticks = sorted({x for points in series.values() for x in points})
    axes.set_xticks(ticks, [f"{x:,.0f}" for x in ticks])
    axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(axes_names[0], fontsize=8)
    axes.set_ylabel(axes_names[1], fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _saved(name, title, figure)


def _saved(name: str, title: str, figure: object) -> str:
    from matplotlib import pyplot

    PLOTS.mkdir(exist_ok=True)
    path = PLOTS / f"{name}.svg"
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})  # type: ignore[attr-defined]  # reason: matplotlib's Figure, which the caller made
    pyplot.close()
    _strip_lines(path)
    return f"![{title}](benchmarks/{name}.svg)"


def _strip_lines(path: Path) -> None:
    """Remove spaces at the ends of lines."""
    text = "".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines())
    path.write_text(text)


def put(marker: str, text: str) -> None:
    """Write a topic's text between its markers in docs/benchmarks.md."""
    page = DOCS / "benchmarks.md"
    before, opening, rest = page.read_text().partition(f"<!-- {marker} -->\n")
    _, closing, after = rest.partition(f"<!-- /{marker} -->")
    if not opening or not closing:
        message = f"{page.name} has no <!-- {marker} --> … <!-- /{marker} -->"
        raise ValueError(message)
    page.write_text(f"{before}{opening}\n{text.strip()}\n\n{closing}{after}")
