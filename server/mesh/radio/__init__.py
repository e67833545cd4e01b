"""A radio at the gateway: the unmodified meshtastic library behind one `select`."""
