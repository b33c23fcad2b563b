"""What is compared: one module per topic, with ``measure`` and ``report``."""
