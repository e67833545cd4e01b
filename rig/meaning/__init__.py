"""What recorded bytes mean, for those who look at a record and may not ask the world: OBD, CAN."""
