"""The car: a physical model of a vehicle, its driver, and the drive that they go through.

`Vehicle(FOCUS_ST, Drive([Idle("idle", 30.0), Cruise("cruise", 300.0, 110.0)]), rng).at(12.5).rpm`
"""

from __future__ import annotations

from sim.vehicle.ambient import Ambient
from sim.vehicle.drive import Accelerate, Cruise, Drive, Idle, KeyOff, Phase, Trace
from sim.vehicle.spec import FOCUS_ST, VEHICLES, EngineSpec, VehicleSpec
from sim.vehicle.state import VehicleState
from sim.vehicle.vehicle import STEP_S, Vehicle

__all__ = [
    "FOCUS_ST",
    "STEP_S",
    "VEHICLES",
    "Accelerate",
    "Ambient",
    "Cruise",
    "Drive",
    "EngineSpec",
    "Idle",
    "KeyOff",
    "Phase",
    "Trace",
    "Vehicle",
    "VehicleSpec",
    "VehicleState",
]
