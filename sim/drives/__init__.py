"""Where speed traces come from: published drive cycles and recorded drives."""

from __future__ import annotations

from sim.drives.cycle import CYCLES, cycle_trace, load_cycle
from sim.drives.errors import CycleError, DriveError, RecordingError
from sim.drives.recording import read_recording
from sim.drives.samples import Recording

__all__ = [
    "CYCLES",
    "CycleError",
    "DriveError",
    "Recording",
    "RecordingError",
    "cycle_trace",
    "load_cycle",
    "read_recording",
]
