"""The worker process of the emulator: a real worker library behind a small host."""
