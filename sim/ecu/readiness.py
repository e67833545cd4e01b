"""Readiness of the emission monitors: which are there, and which have run.

Layout of PIDs 01 and 41: SAE J1979-DA. The run times are assumed; real ones depend on the drive.
"""

from __future__ import annotations

CONTINUOUS = 0x07  # misfire, fuel system, comprehensive components; spark ignition (bit 3 = 0)

# Bit in bytes C and D -> engine run time in seconds after which the monitor has run.
RUN_S_BY_BIT = {
    0: 480.0,  # catalyst
    2: 900.0,  # evaporative system
    5: 180.0,  # oxygen sensor
    6: 60.0,  # oxygen sensor heater
    7: 240.0,  # variable valve timing
}
SUPPORTED = sum(1 << bit for bit in RUN_S_BY_BIT)


# An ECU that does not run the engine watches its own components only, and always has.
NO_ENGINE = bytes((0x04, 0x00, 0x00))


def readiness(run_s: float | None) -> bytes:
    """Return an engine ECU's bytes B, C, D after `run_s` seconds of engine run.

    None = all have run long ago.
    """
    incomplete = 0
    if run_s is not None:
        incomplete = sum(1 << bit for bit, needed_s in RUN_S_BY_BIT.items() if run_s < needed_s)
    return bytes((CONTINUOUS, SUPPORTED, incomplete))
