"""The radios of a run: the gateways' links to them, and the vehicles that have no gateway."""
