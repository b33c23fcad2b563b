"""HTTP with deadlines, for flags and counts."""
