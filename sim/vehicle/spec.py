"""What a car is made of: the constants of the model, each with its source.

Marks in the comments:
    [published]  a figure of the maker or of a road test;
    [derived]    computed from published figures;
    [assumed]    nobody publishes it; a plausible figure, tuned so that the published totals
                 (0-100 km/h, top speed, rpm at 80 mph, WLTC fuel) come out.
"""

from __future__ import annotations

from dataclasses import dataclass

Curve = tuple[tuple[float, float], ...]  # (rpm, value) points, rising rpm


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A turbocharged four-stroke petrol engine with direct injection."""

    displacement_m3: float
    inertia_kgm2: float  # crankshaft, flywheel, clutch
    idle_rpm: float  # warm
    redline_rpm: float
    cut_rpm: float  # the limiter
    torque_nm: Curve  # full load, brake torque, without overboost
    overboost_factor: float
    overboost_rpm: tuple[float, float]  # band in which overboost adds torque
    overboost_s: float  # how long one overboost lasts
    volumetric_efficiency: Curve
    spool_s: Curve  # time constant of boost rising
    friction_bar: Curve  # friction mean effective pressure, warm oil
    accessories_nm: float
    torque_per_air_nm_kg: float  # indicated torque per kg of air in one cycle (two turns)
    map_max_kpa: float
    air_fuel_ratio: float
    fuel_density_kg_l: float
    fuel_lhv_j_kg: float


@dataclass(frozen=True, slots=True)
class VehicleSpec:
    """A front-wheel-drive car with a manual gearbox."""

    name: str
    vin: str
    engine: EngineSpec
    mass_kg: float  # with driver
    wheel_inertia_kgm2: float  # all four wheels
    tyre_circumference_m: float
    drag_area_m2: float  # cd x A
    rolling_ratio: float  # rolling resistance over weight at walking pace
    rolling_rise_s2_m2: float  # rolling ratio = rolling_ratio x (1 + rise x v^2)
    gear_ratios: tuple[float, ...]  # overall: gear x final drive, first gear first
    driveline_efficiency: float
    tyre_grip: float  # peak friction of the driven tyres
    front_weight_share: float
    cg_height_m: float
    wheelbase_m: float
    shift_rpm: float  # where the driver shifts up at full throttle
    shift_full_s: float  # clutch open, at full throttle
    shift_easy_s: float  # clutch open, everyday driving
    tank_l: float


_FIRST_FINAL = 4.06  # gears 1 to 4
_SECOND_FINAL = 2.955  # gears 5 and 6

# Sources: Ford's European data sheet of 2012 (250 PS at 5,500 rpm, 340 Nm, 360 Nm in overboost,
# 248 km/h, 0-100 km/h in 6.5 s); drive.com.au and motorward.com (overboost of 7.4 % from 3,000 to
# 4,500 rpm for at most 15 s); fiestastforum (MMT6 gearbox with two final drives); scootinboot.com
# (just under 3,000 rpm at 80 mph in sixth).
FOCUS_ST = VehicleSpec(
    name="Ford Focus ST (Mk3, 2013, 2.0 EcoBoost, six-speed manual)",
    # Built like a Focus ST's: 1FADP3L9 is the model, 7 the check digit (49 CFR 565),
    # D the year 2013, L the plant; the serial number 000001 belongs to no customer's car.
    vin="1FADP3L97DL000001",
    engine=EngineSpec(
        displacement_m3=1.999e-3,  # [published]
        inertia_kgm2=0.17,  # [assumed] two-litre four with a dual-mass flywheel
        idle_rpm=780.0,  # [assumed] forum readings of 750-850
        redline_rpm=6500.0,  # [published]
        cut_rpm=6800.0,  # [assumed]
        torque_nm=(  # [published] 340 Nm plateau, 184 kW at 5,500; [assumed] both flanks
            (600.0, 95.0),
            (1000.0, 165.0),
            (1250.0, 210.0),
            (1500.0, 262.0),
            (1750.0, 310.0),
            (2000.0, 340.0),
            (4500.0, 340.0),
            (5000.0, 335.0),
            (5500.0, 319.5),
            (6000.0, 291.0),
            (6500.0, 258.0),
            (6800.0, 228.0),
        ),
        overboost_factor=1.074,  # [published]
        overboost_rpm=(3000.0, 4500.0),  # [published]
        overboost_s=15.0,  # [published]
        volumetric_efficiency=(  # [assumed] residual gas at idle, tuned intake in the middle
            (600.0, 0.50),
            (1000.0, 0.60),
            (1500.0, 0.78),
            (2000.0, 0.84),
            (3000.0, 0.88),
            (4500.0, 0.885),
            (5500.0, 0.87),
            (6500.0, 0.82),
        ),
        spool_s=(  # [assumed] K03: lazy below 2,000 rpm, awake from 3,000
            (1000.0, 1.6),
            (1500.0, 1.1),
            (2000.0, 0.65),
            (2500.0, 0.42),
            (3000.0, 0.30),
            (4000.0, 0.22),
            (6500.0, 0.18),
        ),
        friction_bar=(  # [assumed] Heywood, Internal Combustion Engine Fundamentals, 13.5
            (600.0, 0.80),
            (1000.0, 0.83),
            (2000.0, 0.97),
            (3000.0, 1.13),
            (4000.0, 1.33),
            (5000.0, 1.57),
            (6000.0, 1.86),
            (7000.0, 2.20),
        ),
        accessories_nm=7.0,  # [assumed] alternator, water and fuel pump
        # [derived] lhv x 0.38 indicated efficiency / air-fuel ratio / 4 pi
        torque_per_air_nm_kg=88_000.0,
        map_max_kpa=250.0,  # [assumed] peak boost of 19-22 psi
        air_fuel_ratio=14.64,  # petrol
        fuel_density_kg_l=0.745,  # EN 228
        fuel_lhv_j_kg=42.7e6,
    ),
    # [assumed] with driver: between 1,437 kg (European kerb weight, which includes the driver)
    # and 1,537 kg (US kerb weight of 3,223 lb plus 75 kg)
    mass_kg=1500.0,
    wheel_inertia_kgm2=4.8,  # [assumed] four 235/40 R18 on alloys
    tyre_circumference_m=2.027,  # [derived] 235/40 R18; 2,950 rpm at 80 mph in sixth
    drag_area_m2=0.75,  # [assumed] 0.33 x 2.27 m2
    rolling_ratio=0.0115,  # [assumed]
    rolling_rise_s2_m2=1.0e-4,  # [assumed] half as much again at 250 km/h
    gear_ratios=(  # [assumed] from owners' forums; consistent with the published speeds
        3.231 * _FIRST_FINAL,
        1.952 * _FIRST_FINAL,
        1.321 * _FIRST_FINAL,
        1.029 * _FIRST_FINAL,
        1.129 * _SECOND_FINAL,
        0.943 * _SECOND_FINAL,
    ),
    driveline_efficiency=0.93,  # [assumed]
    tyre_grip=1.15,  # [assumed] summer tyre on dry asphalt, at its best slip
    front_weight_share=0.61,  # [assumed]
    cg_height_m=0.54,  # [assumed]
    wheelbase_m=2.648,  # [published]
    shift_rpm=6600.0,  # [assumed] so that second gear ends just above 100 km/h
    shift_full_s=0.3,  # [assumed] a practised driver
    shift_easy_s=0.5,  # [assumed]
    tank_l=55.0,  # [published]
)

VEHICLES: dict[str, VehicleSpec] = {"focus_st": FOCUS_ST}
