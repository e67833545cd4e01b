"""A LoRa channel: presets, time on air, path loss, shadowing, loss, collisions and capture."""

from sim.lora.channel import Channel, Listener, Outcome, Position, Signal, Station, Transmission
from sim.lora.errors import LoraError
from sim.lora.presets import PRESETS, Preset, airtime_us, preset_named
from sim.lora.propagation import FixedLoss, LogDistance, PathLoss, Place, Shadowing, TwoRay
from sim.lora.regions import REGIONS, Region, region_named

__all__ = [
    "PRESETS",
    "REGIONS",
    "Channel",
    "FixedLoss",
    "Listener",
    "LogDistance",
    "LoraError",
    "Outcome",
    "PathLoss",
    "Place",
    "Position",
    "Preset",
    "Region",
    "Shadowing",
    "Signal",
    "Station",
    "Transmission",
    "TwoRay",
    "airtime_us",
    "preset_named",
    "region_named",
]
