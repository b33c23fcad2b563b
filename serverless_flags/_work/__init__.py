"""What is due: refreshing flags and flushing counts."""
