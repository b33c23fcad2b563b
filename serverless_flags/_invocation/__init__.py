"""Around one call of your function."""
