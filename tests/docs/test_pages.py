"""Links between pages resolve; the index and the table of floors are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
"""A block of code, in which nothing is a link or a heading."""


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", heading).lower() for heading in headings]
    return {word.replace(" ", "-") for word in words}


def resolves(page: Path, link: str) -> bool:
    """Whether a relative link leads to an existing file or folder, and heading."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target)


def test_relative_links_resolve(page):
    """Each relative link leads to an existing file, folder or heading."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in LINK.findall(text) if "://" not in link]

    assert [] == [link for link in links if not resolves(page, link)]


def test_the_index_links_to_every_page(read):
    """docs/index.md links to every page below docs/."""
    linked = {(ROOT / "docs" / link) for link in LINK.findall(read("docs/index.md"))}

    assert set(ROOT.glob("docs/**/*.md")) - linked == {ROOT / "docs/index.md"}


@pytest.mark.parametrize(("name", "most"), [("docs/how-to/write-an-adapter.md", 40)])
def test_short_pages_stay_short(read, name, most):
    """A page that is to be read at a glance stays below its limit."""
    assert len(read(name).splitlines()) <= most


def test_the_floors_are_those_of_the_import_contract(read):
    """The design page lists the layers of import-linter's contract, top to bottom."""
    contract = read("pyproject.toml").partition('containers = ["serverless_flags"]')[2]
    layers = re.findall(r'"([^"]*)"', contract.partition("]")[0])
    floors = read("docs/explanation/design.md").partition("\n| floor | modules |\n")[2]
    rows = [line.split("|")[2] for line in floors.splitlines() if line[:2] == "| "][1:]

    assert [layer.split(" | ") for layer in layers] == [
        re.findall(r"`(\w+)`", row) for row in rows
    ]
