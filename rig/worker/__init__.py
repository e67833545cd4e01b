"""One run in a process of its own: world, gateway and record, on either clock."""
