"""How much code an adapter needs."""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"


def test_the_adapter_is_small():
    """A third party adds a platform in at most 40 lines of Python."""
    lines = [
        line
        for path in SOURCE.rglob("*.py")
        for line in path.read_text().splitlines()
        if line.strip()
    ]

    assert len(lines) <= 40
