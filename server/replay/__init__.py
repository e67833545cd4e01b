"""Recorded drives played again as a live stream: at another speed, stopped, wound to any place."""
