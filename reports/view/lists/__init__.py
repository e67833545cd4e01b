"""What the pages list and ask for: declarations, shown by the parts `table`, `facts`, `form`."""
