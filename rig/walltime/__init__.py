"""The world in wall time: its clock, and the ports by which any program reaches it."""
