"""Thousands of light vehicles: sampled drives, real packets, no firmware and no bus underneath."""
