"""One session in one process: its state, its start, its end."""
