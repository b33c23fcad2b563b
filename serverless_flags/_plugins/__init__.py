"""The plugins of one session: found, checked, called."""
