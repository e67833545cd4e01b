"""What the car is at one instant: the record that every device of the world reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class VehicleState:
    """The vehicle at `t_s` (virtual seconds); units stand in the names, ranges in the comments.

    A fresh object per call of `Vehicle.at`, so a caller may keep it.
    """

    t_s: float
    speed_mps: float  # 0 to about 70; the car never rolls backwards
    accel_mps2: float
    distance_m: float  # since the drive began
    rpm: float
    gear: int  # 0 neutral or clutch pressed at rest, 1 to 6
    clutch_closed: bool  # True: rpm over speed is exactly the ratio of `gear`
    pedal_pct: float  # accelerator, 0 to 100
    throttle_pct: float  # absolute throttle plate, about 12 closed, 84 open
    brake_pct: float  # 0 to 100
    engine_on: bool  # fuelled and turning by itself; False while cranking
    torque_nm: float  # at the crankshaft; negative in overrun
    load_pct: float  # J1979 calculated load: air per stroke over the most possible at this rpm
    absolute_load_pct: float  # J1979: air per stroke over 1.184 g/l; above 100 in boost
    map_kpa: float  # absolute, in the manifold
    baro_kpa: float
    boost_kpa: float  # map - baro; negative in vacuum
    maf_gps: float
    lambda_ratio: float  # 1 stoichiometric, below 1 rich; 1.99 in fuel cut
    fuel_rate_lph: float
    fuel_used_l: float  # since the drive began
    fuel_level_pct: float
    coolant_c: float
    oil_c: float
    intake_c: float  # charge air behind the intercooler
    ambient_c: float
    battery_v: float
    timing_deg: float  # before top dead centre
    rail_kpa: float  # gauge, petrol direct injection
    run_time_s: float  # since the engine started
    overboost: bool
    st_trim_pct: float
    lt_trim_pct: float
    grade: float  # slope as a ratio, 0.05 = 5 % uphill
    fuel_cut: bool  # overrun: turning, not fuelled
    closed_loop: bool  # fuel control by the lambda probe
