"""The table of mode 01 parameters that a turbocharged petrol car answers.

Names are python-OBD's command names where it has one. Formulas: SAE J1979-DA. To add a parameter,
add a line here; bitmaps, multi-PID answers and freeze frames follow by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.ecu.diagnostics import diagnostic_pids
from sim.ecu.dtc import DtcStore
from sim.ecu.parameter import PidSpec, code, percent, scaled, temperature, word
from sim.ecu.sensors import (
    REFERENCE_TORQUE_NM,
    catalyst_c,
    commanded_boost_kpa,
    commanded_throttle_pct,
    demand_torque_pct,
    downstream_probe_v,
    fuel_system,
    pump_current_ma,
    purge_pct,
    relative_throttle_pct,
    torque_pct,
    wide_band_v,
)

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

GEAR_PID = 0xA4
PROBE_RATIO_STEP = 2 / 65536
# J1979 prints the step of PID 44 as 0.0000305 and python-OBD takes it literally; so does this
# model, because a tester's value must be the ECU's. The difference to 2/65536 is 0.06 %.
COMMANDED_RATIO_STEP = 0.0000305
WIDE_BAND_STEP_V = 8 / 65535
CURRENT_STEP_MA = 1 / 256
BOOST_STEP_KPA = 0.03125


def _wide_band_voltage() -> PidSpec:
    def encode(state: VehicleState) -> bytes:
        ratio = word(state.lambda_ratio, PROBE_RATIO_STEP)
        return ratio + word(wide_band_v(state), WIDE_BAND_STEP_V)

    def decode(data: bytes) -> float:
        return int.from_bytes(data[2:4], "big") * WIDE_BAND_STEP_V

    return PidSpec(0x24, "O2_S1_WR_VOLTAGE", "V", 4, WIDE_BAND_STEP_V, encode, wide_band_v, decode)


def _wide_band_current() -> PidSpec:
    def encode(state: VehicleState) -> bytes:
        ratio = word(state.lambda_ratio, PROBE_RATIO_STEP)
        return ratio + word(pump_current_ma(state), CURRENT_STEP_MA, -128.0)

    def decode(data: bytes) -> float:
        return int.from_bytes(data[2:4], "big") * CURRENT_STEP_MA - 128.0

    return PidSpec(
        0x34, "O2_S1_WR_CURRENT", "mA", 4, CURRENT_STEP_MA, encode, pump_current_ma, decode
    )


def _downstream_probe() -> PidSpec:
    volts = scaled(0x15, "O2_B1S2", "V", downstream_probe_v, 0.005)

    def encode(state: VehicleState) -> bytes:
        return volts.encode(state) + b"\xff"  # FF: this probe does not trim

    return PidSpec(0x15, volts.name, "V", 2, volts.resolution, encode, volts.truth, volts.decode)


def _boost_control() -> PidSpec:
    """PID 70 shows what 0B cannot: more than 255 kPa."""
    support = 0x07  # commanded boost A, boost sensor A, boost control status A

    def encode(state: VehicleState) -> bytes:
        status = 0x02 if state.engine_on else 0x00  # closed loop
        return (
            bytes((support,))
            + word(commanded_boost_kpa(state), BOOST_STEP_KPA)
            + word(state.map_kpa, BOOST_STEP_KPA)
            + bytes((0, 0, 0, 0, status))
        )

    def decode(data: bytes) -> float:
        return int.from_bytes(data[3:5], "big") * BOOST_STEP_KPA

    return PidSpec(
        0x70, "BOOST_CONTROL", "kPa", 10, BOOST_STEP_KPA, encode, lambda s: s.map_kpa, decode
    )


def _gear() -> PidSpec:
    """PID A4: the gear in the upper half of byte B; the ratio is not supported."""

    def encode(state: VehicleState) -> bytes:
        return bytes((0x01, (state.gear & 0xF) << 4, 0, 0))

    def decode(data: bytes) -> float:
        return float(data[1] >> 4)

    return PidSpec(
        GEAR_PID, "TRANSMISSION_GEAR", "", 4, 1.0, encode, lambda s: float(s.gear), decode
    )


_ENGINE_SPECS = (
    code(0x03, "FUEL_STATUS", 2, fuel_system),
    percent(0x04, "ENGINE_LOAD", lambda s: s.load_pct),
    temperature(0x05, "COOLANT_TEMP", lambda s: s.coolant_c),
    scaled(0x06, "SHORT_FUEL_TRIM_1", "%", lambda s: s.st_trim_pct, 100 / 128, offset=-100.0),
    scaled(0x07, "LONG_FUEL_TRIM_1", "%", lambda s: s.lt_trim_pct, 100 / 128, offset=-100.0),
    scaled(0x0B, "INTAKE_PRESSURE", "kPa", lambda s: s.map_kpa, 1.0),
    scaled(0x0C, "RPM", "rpm", lambda s: s.rpm, 0.25, n_bytes=2),
    scaled(0x0D, "SPEED", "km/h", lambda s: 3.6 * s.speed_mps, 1.0),
    scaled(0x0E, "TIMING_ADVANCE", "deg", lambda s: s.timing_deg, 0.5, offset=-64.0),
    temperature(0x0F, "INTAKE_TEMP", lambda s: s.intake_c),
    scaled(0x10, "MAF", "g/s", lambda s: s.maf_gps, 0.01, n_bytes=2),
    percent(0x11, "THROTTLE_POS", lambda s: s.throttle_pct),
    code(0x13, "O2_SENSORS", 1, lambda s: b"\x03"),  # bank 1, sensors 1 and 2
    _downstream_probe(),
    code(0x1C, "OBD_COMPLIANCE", 1, lambda s: b"\x06"),  # EOBD
    scaled(0x1F, "RUN_TIME", "s", lambda s: s.run_time_s, 1.0, n_bytes=2),
    scaled(0x23, "FUEL_RAIL_PRESSURE_DIRECT", "kPa", lambda s: s.rail_kpa, 10.0, n_bytes=2),
    _wide_band_voltage(),
    percent(0x2C, "COMMANDED_EGR", lambda s: 0.0),  # no external exhaust gas recirculation
    percent(0x2E, "EVAPORATIVE_PURGE", purge_pct),
    percent(0x2F, "FUEL_LEVEL", lambda s: s.fuel_level_pct),
    scaled(0x33, "BAROMETRIC_PRESSURE", "kPa", lambda s: s.baro_kpa, 1.0),
    _wide_band_current(),
    scaled(0x3C, "CATALYST_TEMP_B1S1", "C", catalyst_c, 0.1, offset=-40.0, n_bytes=2),
    scaled(0x42, "CONTROL_MODULE_VOLTAGE", "V", lambda s: s.battery_v, 0.001, n_bytes=2),
    scaled(0x43, "ABSOLUTE_LOAD", "%", lambda s: s.absolute_load_pct, 100 / 255, n_bytes=2),
    scaled(
        0x44, "COMMANDED_EQUIV_RATIO", "", lambda s: s.lambda_ratio, COMMANDED_RATIO_STEP, n_bytes=2
    ),
    percent(0x45, "RELATIVE_THROTTLE_POS", relative_throttle_pct),
    temperature(0x46, "AMBIANT_AIR_TEMP", lambda s: s.ambient_c),
    percent(0x47, "THROTTLE_POS_B", lambda s: s.throttle_pct),
    percent(0x49, "ACCELERATOR_POS_D", lambda s: s.pedal_pct),
    # The second track of the pedal runs at half the first one's slope (assumed; a common design).
    percent(0x4A, "ACCELERATOR_POS_E", lambda s: 0.5 * s.pedal_pct),
    percent(0x4C, "THROTTLE_ACTUATOR", commanded_throttle_pct),
    code(0x51, "FUEL_TYPE", 1, lambda s: b"\x01"),  # petrol
    percent(0x52, "ETHANOL_PERCENT", lambda s: 5.0),  # E5
    scaled(
        0x59, "FUEL_RAIL_PRESSURE_ABS", "kPa", lambda s: s.rail_kpa + s.baro_kpa, 10.0, n_bytes=2
    ),
    temperature(0x5C, "OIL_TEMP", lambda s: s.oil_c),
    scaled(0x5E, "FUEL_RATE", "l/h", lambda s: s.fuel_rate_lph, 0.05, n_bytes=2),
    scaled(0x61, "DEMAND_TORQUE", "%", demand_torque_pct, 1.0, offset=-125.0),
    scaled(0x62, "ACTUAL_TORQUE", "%", torque_pct, 1.0, offset=-125.0),
    scaled(0x63, "REFERENCE_TORQUE", "Nm", lambda s: float(REFERENCE_TORQUE_NM), 1.0, n_bytes=2),
    _boost_control(),
)

ENGINE_PIDS: dict[int, PidSpec] = {spec.pid: spec for spec in _ENGINE_SPECS}
STATE_PIDS: dict[int, PidSpec] = {**ENGINE_PIDS, GEAR_PID: _gear()}

# For readers of a record. Those that follow from trouble codes are bound to an ECU that has none:
# a car's own stand in `PowertrainEcu.pids`.
PIDS: dict[int, PidSpec] = {**STATE_PIDS, **diagnostic_pids(DtcStore())}
