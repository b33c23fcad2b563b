"""The plugins of one session: discovery, checks and hook calls."""
