"""Plain modules whose state-dict names are those of the published files."""
