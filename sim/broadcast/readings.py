"""What each signal of the DBC is worth: one function a signal, all of one vehicle state.

Pure functions of the vehicle at an instant, so that whatever else asks the car gets the same
answer. What the vehicle model does not have (doors, belts, climate) stands still. Constants without
a source are assumed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from sim.broadcast.bends import Bends
from sim.vehicle import VehicleSpec, VehicleState

MPS_TO_KPH = 3.6
GRAVITY_MPS2 = 9.80665
DEG_PER_RAD = 57.29577951308232
TRACK_M = 1.559  # Focus Mk3, front
STEERING_RATIO = 13.7
UNDERSTEER_RAD_S2_M = 0.0025  # more steering per lateral acceleration
START_ODOMETER_KM = 48_213.4
SERVICE_EVERY_KM = 20_000.0
GRIP_MPS2 = 11.0  # the driver cuts corners that the tyres cannot hold
CRANKING_V = 11.0  # the starter pulls the battery below it
CONSUMPTION_FROM_KPH = 3.0
MOST_CONSUMPTION = 99.9  # l/100 km: the cluster shows no more
AVERAGE_FROM_M = 100.0
TYRE_KNOWN_M = 250.0  # the sensors begin to send when the wheels turn
TYRE_WARM_M = 15_000.0
TYRE_COLD_KPA = (250.0, 250.0, 230.0, 230.0)
TYRE_GAIN_KPA = 22.0
TYRE_GAIN_C = 24.0
STOPPED, CRANKING, RUNNING = 0, 1, 3  # EngineState
OFF, RUN, START = 0, 2, 3  # IgnitionStatus
UP, DOWN = 1, 2  # GearShiftAdvice


class Reading:
    """The car at one instant, as all control units read it.

    Attributes:
        state: of the vehicle.
        curvature: of the road in 1/m, left positive; `curvature_slope` its change per metre.
        heading_deg: of the road; None where there is no road.
    """

    __slots__ = ("curvature", "curvature_slope", "heading_deg", "spec", "state", "vin")

    def __init__(
        self, state: VehicleState, spec: VehicleSpec, vin: str, bends: Bends | None
    ) -> None:
        self.state = state
        self.spec = spec
        self.vin = vin
        self.curvature = self.curvature_slope = 0.0
        self.heading_deg: float | None = None
        if bends is not None:
            curvature, self.curvature_slope = bends.at(state.distance_m)
            tightest = GRIP_MPS2 / max(1.0, state.speed_mps * state.speed_mps)
            self.curvature = max(-tightest, min(tightest, curvature))
            self.heading_deg = bends.heading_deg(state.distance_m)

    @property
    def lateral_mps2(self) -> float:
        """Lateral acceleration, left positive."""
        return self.state.speed_mps * self.state.speed_mps * self.curvature

    @property
    def steering_deg(self) -> float:
        """Angle of the steering wheel, left positive."""
        road_rad = self.spec.wheelbase_m * self.curvature
        return self._steering(road_rad + UNDERSTEER_RAD_S2_M * self.lateral_mps2)

    @property
    def steering_degps(self) -> float:
        """Rate of the steering wheel at steady speed, left positive."""
        speed_mps = self.state.speed_mps
        per_m = self.spec.wheelbase_m + UNDERSTEER_RAD_S2_M * speed_mps * speed_mps
        return DEG_PER_RAD * STEERING_RATIO * per_m * self.curvature_slope * speed_mps

    @staticmethod
    def _steering(wheel_rad: float) -> float:
        return DEG_PER_RAD * STEERING_RATIO * (wheel_rad - wheel_rad * wheel_rad * wheel_rad / 3.0)

    def wheel_kph(self, front: bool, side: float) -> float:
        """Speed of a wheel; `side` is 1 for the left, -1 for the right."""
        along = 1.0 - side * 0.5 * TRACK_M * self.curvature
        if front:
            across = self.spec.wheelbase_m * self.curvature
            along = sqrt(along * along + across * across)
        return self.state.speed_mps * MPS_TO_KPH * along


def engine_state(state: VehicleState) -> int:
    """Return the engine's state as the value table of EngineState has it."""
    if state.engine_on:
        return RUNNING
    return CRANKING if state.rpm > 0.0 and state.battery_v < CRANKING_V else STOPPED


def ignition(state: VehicleState) -> int:
    """Return the ignition switch as the value table of IgnitionStatus has it."""
    if state.engine_on:
        return RUN
    return START if engine_state(state) == CRANKING else OFF


def _advice(reading: Reading) -> int:
    state = reading.state
    if not state.clutch_closed:
        return 0
    if state.gear < len(reading.spec.gear_ratios) and state.rpm > 2800 and state.pedal_pct < 40:
        return UP
    return DOWN if state.gear > 1 and state.rpm < 1100 and state.pedal_pct > 50 else 0


def _wheel_torque(reading: Reading) -> float:
    state = reading.state
    if not state.clutch_closed or not state.gear:
        return 0.0
    return state.torque_nm * reading.spec.gear_ratios[state.gear - 1]


def _instant_consumption(reading: Reading) -> float | None:
    speed_kph = reading.state.speed_mps * MPS_TO_KPH
    if speed_kph < CONSUMPTION_FROM_KPH:
        return None
    return min(MOST_CONSUMPTION, 100.0 * reading.state.fuel_rate_lph / speed_kph)


def _average_consumption(reading: Reading) -> float | None:
    state = reading.state
    if state.distance_m < AVERAGE_FROM_M:
        return None
    return min(MOST_CONSUMPTION, 1e5 * state.fuel_used_l / state.distance_m)


def _warmth(state: VehicleState) -> float:
    return min(1.0, state.distance_m / TYRE_WARM_M)


def _tyre_pressure(number: int) -> Callable[[Reading], float | None]:
    def read(reading: Reading) -> float | None:
        state = reading.state
        if state.distance_m < TYRE_KNOWN_M:
            return None
        return TYRE_COLD_KPA[number] + TYRE_GAIN_KPA * _warmth(state)

    return read


def _tyre_temp(reading: Reading) -> float | None:
    state = reading.state
    if state.distance_m < TYRE_KNOWN_M:
        return None
    return state.ambient_c + TYRE_GAIN_C * _warmth(state)


def _vin_characters(part: int) -> Callable[[Reading], float]:
    def read(reading: Reading) -> float:
        characters = reading.vin[3 * part : 3 * part + 3].encode("ascii", "replace")
        return int.from_bytes(characters.ljust(3, b"\0"), "big")

    return read


def _constant(value: float) -> Callable[[Reading], float]:
    return lambda reading: value


_POWERTRAIN: dict[str, Callable[[Reading], float | None]] = {
    "EngineTorqueActual": lambda r: r.state.torque_nm,
    "EngineTorqueDemand": lambda r: 3.85 * r.state.pedal_pct - 25.0,
    "OverboostActive": lambda r: r.state.overboost,
    "FuelCutActive": lambda r: r.state.fuel_cut,
    "ClutchSwitch": lambda r: r.state.engine_on and not r.state.clutch_closed and r.state.gear > 0,
    "AcceleratorPedal": lambda r: r.state.pedal_pct,
    "ThrottlePosition": lambda r: r.state.throttle_pct,
    "EngineState": lambda r: engine_state(r.state),
    "EngineSpeed": lambda r: r.state.rpm,
    "ManifoldPressure": lambda r: r.state.map_kpa,
    "MassAirFlow": lambda r: r.state.maf_gps,
    "EngineLoad": lambda r: r.state.load_pct,
    "IgnitionAdvance": lambda r: r.state.timing_deg,
    "IntakeAirTemp": lambda r: r.state.intake_c,
    "BarometricPressure": lambda r: r.state.baro_kpa,
    "WheelTorqueActual": _wheel_torque,
    "ClutchClosed": lambda r: r.state.clutch_closed,
    "GearShiftAdvice": _advice,
    "ReverseSelected": _constant(0),
    "CurrentGear": lambda r: r.state.gear,
    "ChargeAirTemp": lambda r: r.state.intake_c,
    "BoostPressure": lambda r: max(0.0, r.state.boost_kpa),
    "CoolantTemp": lambda r: r.state.coolant_c,
    "OilTemp": lambda r: r.state.oil_c,
    "FuelRate": lambda r: r.state.fuel_rate_lph,
    "Lambda": lambda r: r.state.lambda_ratio,
    "FuelRailPressure": lambda r: r.state.rail_kpa,
    "ShortTermFuelTrim": lambda r: r.state.st_trim_pct,
    "LongTermFuelTrim": lambda r: r.state.lt_trim_pct,
    "ClosedLoop": lambda r: r.state.closed_loop,
    "CruiseState": _constant(0),
    "CruiseSetSpeed": lambda r: None,
    "SpeedLimiterActive": _constant(0),
}

_CHASSIS: dict[str, Callable[[Reading], float | None]] = {
    "SteeringTurnsRight": lambda r: r.steering_degps < 0.0,
    "SteeringAngleRight": lambda r: r.steering_deg < 0.0,
    "SteeringAngleValid": _constant(1),
    "SteeringAngleMagnitude": lambda r: abs(r.steering_deg),
    "SteeringWheelAngle": lambda r: r.steering_deg,
    "SteeringWheelSpeed": lambda r: r.steering_degps,
    "SteeringTorque": lambda r: 0.35 * r.lateral_mps2,
    "SteeringAssist": lambda r: 2 if r.state.engine_on else 1,
    "BrakeSwitch": lambda r: r.state.brake_pct > 0.0,
    "LongitudinalAcceleration": lambda r: r.state.accel_mps2,
    "VehicleSpeed": lambda r: r.state.speed_mps * MPS_TO_KPH,
    "VehicleSpeedQuality": _constant(3),
    "BrakePressure": lambda r: 1.3 * r.state.brake_pct,
    "BrakePedalPosition": lambda r: r.state.brake_pct,
    "AbsActive": lambda r: r.state.brake_pct > 90.0 and r.state.speed_mps > 2.0,
    "EscActive": _constant(0),
    "TractionControlActive": _constant(0),
    "EscMode": _constant(0),
    "HillHoldActive": lambda r: r.state.speed_mps <= 0.0 and r.state.grade > 0.03,
    "BrakeFluidLow": _constant(0),
    "YawRate": lambda r: r.state.speed_mps * r.curvature * DEG_PER_RAD,
    "LateralAcceleration": lambda r: r.lateral_mps2,
    "MeasuredAcceleration": lambda r: (
        r.state.accel_mps2 + GRAVITY_MPS2 * r.state.grade / sqrt(1.0 + r.state.grade**2)
    ),
    "WheelValidFL": _constant(1),
    "WheelValidFR": _constant(1),
    "WheelValidRL": _constant(1),
    "WheelValidRR": _constant(1),
    "WheelSpeedFL": lambda r: r.wheel_kph(True, 1.0),
    "WheelSpeedFR": lambda r: r.wheel_kph(True, -1.0),
    "WheelSpeedRL": lambda r: r.wheel_kph(False, 1.0),
    "WheelSpeedRR": lambda r: r.wheel_kph(False, -1.0),
    "TorqueLimitUpper": lambda r: None,
    "TorqueLimitLower": lambda r: None,
    "TyreWarning": _constant(0),
    **{
        f"TyrePressure{wheel}": _tyre_pressure(number)
        for number, wheel in enumerate(("FL", "FR", "RL", "RR"))
    },
    **{f"TyreTemp{wheel}": _tyre_temp for wheel in ("FL", "FR", "RL", "RR")},
}

_BODY: dict[str, Callable[[Reading], float | None]] = {
    "GaugeBrightness": _constant(15),
    "GaugeNightMode": _constant(0),
    "IgnitionStatus": lambda r: ignition(r.state),
    "KeyInReach": _constant(1),
    "EngineRunTime": lambda r: r.state.run_time_s,
    "DoorDriver": _constant(0),
    "DoorPassenger": _constant(0),
    "DoorRearLeft": _constant(0),
    "DoorRearRight": _constant(0),
    "Tailgate": _constant(0),
    "Bonnet": _constant(0),
    "ParkingBrake": lambda r: not r.state.engine_on and r.state.speed_mps <= 0.0,
    "CentralLocking": lambda r: r.state.distance_m > 20.0,
    "LowBeam": _constant(0),
    "HighBeam": _constant(0),
    "DaytimeLights": lambda r: r.state.engine_on,
    "FogFront": _constant(0),
    "FogRear": _constant(0),
    "IndicatorLeft": _constant(0),
    "IndicatorRight": _constant(0),
    "BrakeLights": lambda r: r.state.brake_pct > 0.0,
    "ReverseLights": _constant(0),
    "HazardLights": _constant(0),
    "WiperMode": _constant(0),
    "CabinTemp": _constant(21.6),
    "BlowerStage": lambda r: 3 if r.state.engine_on else 0,
    "AcCompressor": lambda r: r.state.engine_on and r.state.ambient_c > 22.0,
    "CabinTempSet": _constant(21.5),
    "SunLoad": _constant(340),
    "BatteryVoltage": lambda r: r.state.battery_v,
    "BatteryCurrent": lambda r: 15.0 * (r.state.battery_v - 12.6),
    "BatteryCharge": _constant(86.0),
    "AlternatorLoad": lambda r: 42.0 if r.state.engine_on else 0.0,
    "FuelLevel": lambda r: r.state.fuel_level_pct,
    "FuelRange": lambda r: r.state.fuel_level_pct * r.spec.tank_l / 8.4,
    "InstantConsumption": _instant_consumption,
    "AverageConsumption": _average_consumption,
    "Odometer": lambda r: START_ODOMETER_KM + 0.001 * r.state.distance_m,
    "TripDistance": lambda r: 0.001 * r.state.distance_m,
    "AmbientTemp": lambda r: r.state.ambient_c,
    "Compass": lambda r: None if r.heading_deg is None else int(r.heading_deg) % 360,
    "OilLife": _constant(78.5),
    "DistanceToService": lambda r: (
        SERVICE_EVERY_KM - (START_ODOMETER_KM + 0.001 * r.state.distance_m) % SERVICE_EVERY_KM
    ),
    "BeltDriver": _constant(1),
    "BeltPassenger": _constant(0),
    "SeatPassengerOccupied": _constant(0),
    "AirbagLamp": _constant(0),
    "CrashDetected": _constant(0),
    "NetworkAwake": _constant(1),
    "NetworkSleepReady": lambda r: ignition(r.state) == OFF,
    "NetworkSource": _constant(0xF2),
    **{f"VinCharacters{part + 1}": _vin_characters(part) for part in range(6)},
}

# Signal name -> its true value; None where there is none to tell.
READ: dict[str, Callable[[Reading], float | None]] = {**_POWERTRAIN, **_CHASSIS, **_BODY}
