"""The interpreter alone."""

from _idle import show

show(enabled=True)
