"""What the rig knows of a run's CAN bus: its databases, its set-up, the link's configuration."""
