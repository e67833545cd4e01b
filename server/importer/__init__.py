"""SQLite databases of older systems, read by what their tables look like, sent to the gateway."""
