"""The work of one process: refreshing flags and flushing counts when due."""
