"""What a light vehicle samples: so many signals, all of them at one rate."""

from __future__ import annotations

from firmware_stubs import signals
from firmware_stubs.plan import Plan

SIGNALS = (
    "RPM", "SPEED", "THROTTLE_POS", "ENGINE_LOAD", "INTAKE_PRESSURE", "MAF", "COOLANT_TEMP",
    "INTAKE_TEMP", "LAT", "LON", "ALT", "GPS_SPEED", "GPS_HEADING", "TIMING_ADVANCE",
    "SHORT_FUEL_TRIM_1", "FUEL_RATE", "CONTROL_MODULE_VOLTAGE", "FUEL_LEVEL", "OIL_TEMP",
    "AMBIANT_AIR_TEMP", "ACCELERATOR_POS_D", "ABSOLUTE_LOAD", "BAROMETRIC_PRESSURE",
    "FUEL_RAIL_PRESSURE_DIRECT", "CATALYST_TEMP_B1S1", "LONG_FUEL_TRIM_1", "RELATIVE_THROTTLE_POS",
    "THROTTLE_ACTUATOR", "THROTTLE_POS_B", "ACCELERATOR_POS_E",
)  # fmt: skip
"""In the order in which a fleet takes them: the first N of it."""


def fleet_plan(count: int, rate_hz: float) -> Plan:
    """Return the plan of the first `count` signals, `rate_hz` readings a second of each.

    Raises:
        ValueError: there are not so many.
        PlanError: no such rate.
    """
    if not 1 <= count <= len(SIGNALS):
        raise ValueError(f"signals: expected 1 to {len(SIGNALS)}, found {count}")
    return Plan({"rates": dict.fromkeys(SIGNALS[:count], rate_hz)})


def is_gnss(signal: signals.Signal) -> bool:
    """Return whether the signal comes from the receiver, not from the car."""
    return signal.id >= signals.GNSS_FIRST
