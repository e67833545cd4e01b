"""Sessions, trips and vehicles: names for ranges of time over a device's readings."""
