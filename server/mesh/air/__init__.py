"""What the air costs and allows: airtime of frames, regions, the budget of whoever sends."""
