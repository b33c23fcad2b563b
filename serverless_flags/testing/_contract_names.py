"""What the contract and the functions that it calls agree on."""

from __future__ import annotations

FLAG = "simpleFlag"

GATE = "CONTRACT_GATE"
"""The variable with the path of a named pipe: who reads it waits until it is closed."""

FORKED = 2
"""Evaluations that a forked child makes."""
