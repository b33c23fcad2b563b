"""Us and our peers, side by side in the same run: ``python -m benchmarks``."""
