"""Where speed traces come from: published drive cycles and recorded drives."""

from __future__ import annotations

from sim.drives.cycle import CYCLES, CycleError, cycle_trace, load_cycle

__all__ = ["CYCLES", "CycleError", "cycle_trace", "load_cycle"]
