"""The version, readable without the cost of ``importlib.metadata``."""

from __future__ import annotations

__version__ = "0.1.0"
