"""The names that the models of `sim` have: vehicles, courses, chips.

The models are imported when a file is read: they alone know their names.
"""

from __future__ import annotations


def vehicle_names() -> tuple[str, ...]:
    """Return the vehicles that `sim` has."""
    from sim.vehicle import VEHICLES

    return tuple(VEHICLES)


def route_names() -> tuple[str, ...]:
    """Return the courses that `sim` has."""
    from sim.route import COURSES

    return tuple(COURSES)


def adapter_profiles() -> tuple[str, ...]:
    """Return the adapter profiles that `sim` has."""
    from sim.elm327 import PROFILES

    return tuple(PROFILES)


def receiver_profiles() -> tuple[str, ...]:
    """Return the receiver profiles that `sim` has."""
    from sim.gnss import PROFILES

    return tuple(PROFILES)


def mesh_presets() -> tuple[str, ...]:
    """Return the modem presets that `sim` has."""
    from sim.lora.presets import PRESETS

    return tuple(PRESETS)


def mesh_regions() -> tuple[str, ...]:
    """Return the radio regions that `sim` has."""
    from sim.lora.regions import REGIONS

    return tuple(REGIONS)


def can_profiles() -> tuple[str, ...]:
    """Return the profiles of slcan adapters that `sim` has."""
    from sim.slcan import PROFILES

    return tuple(PROFILES)


def can_databases() -> tuple[str, ...]:
    """Return the DBC files that `sim` brings along, by name."""
    from rig.can.database import BROUGHT

    return tuple(BROUGHT)
